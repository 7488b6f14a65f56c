"""Child processes: how they ended, what they hold, and how to end them with all they started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, AnyStr

import psutil

LOG_TAIL = 5
# How a ``python -c`` begins: the folder that it is run in is not a place to import from.
NOT_FROM_HERE = "import sys; sys.path[:] = filter(None, sys.path);"
CAUSES = {
    "SIGSEGV": "native code crashed on this model",
    "SIGABRT": "a check inside native code failed on this model",
    "SIGKILL": "something killed it, most often the system when memory ran out",
    "SIGILL": "this processor lacks an instruction that the library was built with",
    "SIGBUS": "the disk or the memory behind a file went away",
}


@dataclass(frozen=True)
class Limits:
    """How long one job may take (seconds) and how much it may hold (resident bytes)."""

    seconds: float | None = None
    bytes: int | None = None


def module_command(python: str | Path, module: str, *arguments: str) -> list[str]:
    """Return the command that is ``python -m MODULE``, which imports nothing from where it is run.

    There ``-m`` would find a ``json.py`` of the user's before the standard library's. ``-P`` does
    the same from Python 3.11 on, and ``-I`` would forget packages that a user has installed.
    """
    run = f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    code = f"{NOT_FROM_HERE} import runpy; {run}"
    return [str(python), "-c", code, *arguments]


def describe_exit(code: int | None) -> tuple[str, str]:
    """Say how a child ended, and the likely cause, from its return code."""
    if code is None:
        return "stopped answering", "it closed its pipe and stays alive"
    if code < 0:
        name = signal.Signals(-code).name
        return f"was ended by {name}", CAUSES.get(name, f"it received {name}")
    return f"ended with status {code}", "it could not start, or a library in it called exit"


def tail(log: Path, lines: int = LOG_TAIL) -> str:
    """Return the last lines of a log, for an error message."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return "(no log)"
    kept = [line.strip()[:200] for line in text.splitlines() if line.strip()]
    return "last lines of its log:\n" + "\n".join("  " + line for line in kept[-lines:])


def alive(pid: int) -> bool:
    """Tell whether there is a process with this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def resident(pid: int) -> int:
    """Return resident bytes of a process and its children; 0 once it is gone."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return total


def stdin_of(process: subprocess.Popen[AnyStr]) -> IO[AnyStr]:
    """Return the pipe to a process. Raises ``ValueError`` where it was started without one."""
    if process.stdin is None:
        raise ValueError(f"{process.args!r} was started without a pipe to its stdin")
    return process.stdin


def stdout_of(process: subprocess.Popen[AnyStr]) -> IO[AnyStr]:
    """Return the pipe from a process. Raises ``ValueError`` where it was started without one."""
    if process.stdout is None:
        raise ValueError(f"{process.args!r} was started without a pipe from its stdout")
    return process.stdout


def ended(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Wait until a process has ended, or for so long; whether it has.

    ``Popen.wait`` looks every 50 ms, which of a runner that takes 100 is a quarter in vain.
    """
    if process.poll() is None and hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(process.pid)
            try:
                select.select([descriptor], [], [], seconds)
            finally:
                os.close(descriptor)
            return process.poll() is not None
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.poll() is not None


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a process that leads its own session, and all that it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        if ended(process, 2):
            break
    # The leader is gone; what it started may not be.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
