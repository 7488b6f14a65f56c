"""Faults planted in workers and runners, none of which may leave a process behind."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from edgekit.targets.runners import FOLDER

# What workers and runners are made to do. Each also starts a child that must not outlive them.
FAULTS = """
import ctypes, os, signal, subprocess, sys, time

def fault(name):
    subprocess.Popen(["sleep", "600"])
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "segv":
        print("about to crash", file=sys.stderr, flush=True)
        ctypes.string_at(0)
    if name == "abort":
        os.abort()
    if name == "exit":
        os._exit(3)
    if name == "hang":
        time.sleep(600)
    if name == "memory":
        held = bytearray(os.urandom(1 << 20) * 1500)
        time.sleep(600)
    raise ValueError(name)
"""

WORKER = """
from faults import fault

def add(left, right=0):
    return left + right

def where_is(name):
    import importlib.util
    found = importlib.util.find_spec(name)
    return found.origin if found else ""

def process():
    import os
    return os.getpid()

def refuse():
    from edgekit.errors import DataError
    raise DataError("EK-DATA-001", "planted", "a hint")

def fail():
    raise ValueError("planted\\n  in two lines")

def full():
    import errno
    raise OSError(errno.ENOSPC, "No space left on device")

def unpicklable():
    return lambda: None

def work(progress):
    for done in range(3):
        progress(done, 3, f"step {done}")
    return "worked"

def convert(saved_model, precision, representative, folder, *others):
    import os
    from edgekit.converters import tflite
    if precision == "int8":
        (folder / "half.bin").write_bytes(b"half")
        fault(os.environ["PLANTED_FAULT"])
    return tflite.convert(saved_model, precision, representative, folder, *others)
"""

RUNNER = f"""
import os, sys
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), {str(FOLDER)!r}]
import python_runner
from faults import fault

class Job(python_runner.Job):
    def feeds(self, model, start, stop):
        if self.id in ("int8", "planted") and stop > int(os.environ.get("PLANTED_ITEM", 0)):
            fault(os.environ["PLANTED_FAULT"])
        return super().feeds(model, start, stop)

python_runner.Job = Job
sys.exit(python_runner.main(sys.argv[1:]))
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module ``planted_calls``, which workers can import; afterwards no process may be left."""
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "faults.py").write_text(FAULTS)
    (folder / "planted_calls.py").write_text(WORKER)
    (folder / "runner.py").write_text(RUNNER)
    mark = uuid.uuid4().hex
    monkeypatch.setenv("EDGEKIT_TEST_MARK", mark)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    for name in ("planted_calls", "faults"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import planted_calls

    yield planted_calls
    assert marked(mark) == []


def marked(mark: str) -> list[str]:
    """Command lines of the processes that were started with a mark, once ending ones have ended."""
    end = time.monotonic() + 3
    while True:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("EDGEKIT_TEST_MARK") == mark:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)
