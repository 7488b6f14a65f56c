"""Work that a run does two at a time: errors end what is under way, and nothing follows."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from edgekit.errors import DeviceError
from edgekit.pipeline.abreast import AT_A_TIME, abreast
from edgekit.pipeline.run import Run
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Request

SLEEPS = "import time; time.sleep(600)"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    runner = tmp_path / "runner.py"
    runner.write_text(SLEEPS)
    (tmp_path / "requests").mkdir()
    device = LocalDevice(tmp_path / "requests", tmp_path / "log", runners={"slow": runner})
    return cast(Run, SimpleNamespace(device=device))


def test_an_error_ends_the_processes_of_the_others_and_starts_no_more(run: Run) -> None:
    asked = Request(mode="load", models=(), runtime="slow")
    jobs: list[Any] = []
    # Other tests of this process may have theirs.
    before = {child.pid for child in psutil.Process().children()}

    def started() -> set[int]:
        return {child.pid for child in psutil.Process().children()} - before

    def interrupted(threads: Executor) -> None:
        jobs.extend(threads.submit(run.device.run, asked) for _ in range(AT_A_TIME + 1))
        while len(started()) < AT_A_TIME:
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), abreast(run) as threads:
        interrupted(threads)
    assert not started()
    assert jobs[-1].cancelled()
    with pytest.raises(DeviceError, match="let go"):
        run.device.run(asked)
    assert not started()


def test_what_one_raises_is_raised(run: Run) -> None:
    def fails() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"), abreast(run) as threads:
        threads.submit(fails).result()
