"""Work of a run that waits for processes of its own, two at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

from edgekit.pipeline.run import Run

# Each holds a model: more would not only want cores, but as many times the memory.
AT_A_TIME = 2


@contextlib.contextmanager
def abreast(run: Run) -> Iterator[Executor]:
    """Give an executor of two threads; an error within ends what they still do.

    Their processes are those of the run's own device, which is closed then: the run is over.
    """
    threads = ThreadPoolExecutor(min(AT_A_TIME, os.cpu_count() or 1), "edgekit-abreast")
    try:
        yield threads
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        run.device.close()
        raise
    finally:
        threads.shutdown()
