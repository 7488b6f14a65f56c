"""`edgekit` with a runner that comes to its end at certain values, and is a runner otherwise.

Run as the command it is edgekit; run as a runner it is python_runner.py.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

CRASH, HANG, NAN, SLOW = 1013.0, 1014.0, 1015.0, 1016.0


def planted(model: Any) -> None:
    """Have a model end, hang, wait or answer NaN where an item begins with the value for it."""
    stage, fetch = model.stage, model.fetch
    first = [0.0]

    def staging(feeds: Any) -> None:
        first[0] = float(next(iter(feeds.values())).ravel()[0])
        stage(feeds)

    def fetching() -> Any:
        if first[0] == CRASH:
            os.kill(os.getpid(), signal.SIGSEGV)
        if first[0] == HANG:
            time.sleep(600)
        if first[0] == SLOW:
            time.sleep(0.5)
        answers = fetch()
        return {n: v * float("nan") if first[0] == NAN else v for n, v in answers.items()}

    model.stage, model.fetch = staging, fetching


if __name__ == "__main__" and "--serve" not in sys.argv:
    from edgekit.cli.main import main
    from edgekit.targets import runners

    runners.OWN["litert"] = runners.Runner(Path(__file__), "ai-edge-litert")  # type: ignore[index]
    main()
elif __name__ == "__main__":
    import python_runner

    class Job(python_runner.Job):  # type: ignore[misc]
        """A job of the runner, with the faults."""

        def __init__(self, *words: Any) -> None:
            super().__init__(*words)
            planted(self.model)

    python_runner.Job = Job
    sys.exit(python_runner.main(sys.argv[1:]))
