"""Planted crashes of the worker: the call says what happened, and the next one works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgekit.errors import DataError, StoreError, WorkerError
from edgekit.process import Limits
from edgekit.worker import Worker

pytestmark = pytest.mark.usefixtures("new_workers")

pytest_plugins = ["crashing"]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with Worker(tmp_path / "log.txt") as one:
        yield one


def test_call_gives_the_result(planted: Any, worker: Worker) -> None:
    assert worker.call(planted.add, 1, right=2) == 3


def test_the_folder_it_was_called_in_is_not_imported_from(
    planted: Any, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Names of modules that the worker and TensorFlow's packages look for.
    for name in ("json", "compression", "tensorflow"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was imported')")
    monkeypatch.chdir(tmp_path)
    assert worker.call(planted.add, 1, right=2) == 3
    assert worker.call(planted.where_is, "compression") == ""


def test_calls_share_one_process(planted: Any, worker: Worker) -> None:
    first = worker.call(planted.process)
    assert worker.call(planted.process) == first != os.getpid()


def test_call_raises_an_edgekit_error_as_it_is(planted: Any, worker: Worker) -> None:
    before = worker.call(planted.process)
    with pytest.raises(DataError) as caught:
        worker.call(planted.refuse)
    assert (caught.value.code, caught.value.message) == ("EK-DATA-001", "planted")
    assert caught.value.hint == "a hint"
    assert worker.call(planted.process) == before


def test_call_raises_worker_error_when_the_function_fails(planted: Any, worker: Worker) -> None:
    before = worker.call(planted.process)
    with pytest.raises(WorkerError) as caught:
        worker.call(planted.fail)
    assert caught.value.code == "EK-WORKER-004"
    assert caught.value.message == "fail failed in TensorFlow"
    assert caught.value.hint == "ValueError: planted\nin two lines"
    assert worker.call(planted.process) == before


def test_call_raises_worker_error_when_the_result_cannot_travel(
    planted: Any, worker: Worker
) -> None:
    with pytest.raises(WorkerError) as caught:
        worker.call(planted.unpicklable)
    assert caught.value.code == "EK-WORKER-004"


def test_call_raises_worker_error_when_the_function_is_not_there(
    planted: Any, worker: Worker
) -> None:
    planted.add.__qualname__ = "subtract"
    with pytest.raises(WorkerError) as caught:
        worker.call(planted.add, 1)
    assert caught.value.code == "EK-WORKER-004"


def test_call_raises_store_error_when_the_disk_is_full(planted: Any, worker: Worker) -> None:
    with pytest.raises(StoreError) as caught:
        worker.call(planted.full)
    assert caught.value.code == "EK-STORE-001"


def test_call_reports_progress(planted: Any, tmp_path: Path) -> None:
    class Heard:
        events: list[tuple[float, float, str]] = []  # noqa: RUF012

        def stage(self, name: str) -> None:
            """Not called by a worker."""

        def update(self, done: float, total: float, text: str) -> None:
            self.events.append((done, total, text))

        def notice(self, text: str) -> None:
            """Not called by a worker."""

    with Worker(tmp_path / "log.txt", Heard()) as worker:
        assert worker.call(planted.work) == "worked"
    assert Heard.events == [(k, 3, f"step {k}") for k in range(3)]


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("kill", "was ended by SIGKILL"),
        ("segv", "was ended by SIGSEGV"),
        ("abort", "was ended by SIGABRT"),
        ("exit", "ended with status 3"),
    ],
)
def test_call_raises_worker_error_and_the_next_works_when_the_worker_crashes(
    planted: Any, worker: Worker, tmp_path: Path, fault: str, how: str
) -> None:
    before = worker.call(planted.process)
    with pytest.raises(WorkerError) as caught:
        worker.call(planted.fault, fault)
    assert caught.value.code == "EK-WORKER-001"
    assert caught.value.message == f"the TensorFlow worker {how} during fault"
    assert "last lines of its log:" in caught.value.hint
    assert str(tmp_path / "log.txt") in caught.value.hint
    if fault == "segv":
        assert "  about to crash\n" in caught.value.hint
    assert worker.call(planted.process) not in (before, os.getpid())


def test_next_call_works_when_the_worker_died_between_calls(planted: Any, worker: Worker) -> None:
    before = worker.call(planted.process)
    os.kill(before, 9)
    deadline = time.monotonic() + 5
    while psutil.Process(before).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.call(planted.add, 1) == 1


def test_call_raises_worker_error_when_it_hangs(planted: Any, tmp_path: Path) -> None:
    with Worker(tmp_path / "log.txt", limits=Limits(seconds=1)) as worker:
        with pytest.raises(WorkerError) as caught:
            worker.call(planted.fault, "hang")
        assert caught.value.code == "EK-WORKER-002"
        assert "fault took longer than its limit of 1 s" in caught.value.message
        assert "[limits]" in caught.value.hint
        assert worker.call(planted.add, 1) == 1


def test_call_raises_worker_error_when_it_holds_too_much(planted: Any, tmp_path: Path) -> None:
    with Worker(tmp_path / "log.txt", limits=Limits(bytes=800_000_000)) as worker:
        with pytest.raises(WorkerError) as caught:
            worker.call(planted.fault, "memory")
        assert caught.value.code == "EK-WORKER-003"
        said = re.search(r"held (\S+) GB of memory, over its limit of 0.8 GB", caught.value.message)
        assert said is not None
        assert float(said[1]) >= 0.8
        assert "[limits]" in caught.value.hint
        assert worker.call(planted.add, 1) == 1


def test_nothing_of_the_worker_is_left_when_the_caller_leaves(planted: Any, tmp_path: Path) -> None:
    with Worker(tmp_path / "log.txt") as worker:
        pid = worker.call(planted.process)
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_worker_ends_when_it_starts_after_its_parent_was_killed(
    planted: Any, tmp_path: Path
) -> None:
    # The call already waits in the pipe while the worker still imports.
    body = f"""
    import os, signal
    from pathlib import Path
    import planted_calls
    from edgekit.worker import Worker
    worker = Worker(Path({str(tmp_path / "log.txt")!r}))
    _, pipe = worker._started()
    pipe.send(("planted_calls", "fault", ("hang",), {{}}))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(body)], check=False)
    assert done.returncode == -9
