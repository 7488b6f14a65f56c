"""A row of the benchmark table, timing of whole commands, and where tables are written."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Row:
    """What was measured, the bar it must keep to, the figure, and whether it does."""

    what: str
    bar: str
    measured: str
    kept: bool


def seconds(command: Sequence[object], cwd: Path | None = None) -> float:
    """Wall-clock seconds of one command, which must succeed."""
    return watched(command, cwd, every=None)[0]


def watched(
    command: Sequence[object], cwd: Path | None = None, every: float | None = 0.05
) -> tuple[float, int]:
    """Seconds of one command, and the most resident bytes it and its children held together.

    The latter is sampled ``every`` so many seconds, and 0 without.
    """
    # Users' modules are compiled once, and not at each start.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        peak = 0
        while every is not None and process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(every)
        code = process.wait()
        elapsed = time.perf_counter() - begin
        if code != 0:
            errors.seek(0)
            raise RuntimeError(f"{command[0]} ended with {code}:\n{errors.read()[-2000:]}")
    return elapsed, peak


def _resident(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    found = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for one in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                found += int(one.memory_info().rss)
    return found


def alternating(commands: Sequence[Sequence[object]], rounds: int) -> list[float]:
    """The median seconds of each command, taken in turns so that a slow spell hits them all."""
    taken: list[list[float]] = [[] for _ in commands]
    for number in range(rounds):
        order = range(len(commands)) if number % 2 == 0 else reversed(range(len(commands)))
        for k in order:
            taken[k].append(seconds(commands[k]))
    return [statistics.median(times) for times in taken]


def machine() -> str:
    """What these figures were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [row for row in cpuinfo.read_text().splitlines() if row.startswith("model name")]
        name = models[0].split(":", 1)[1].strip() if models else name
    versions = ", ".join(
        f"{package} {metadata.version(package)}" for package in ("tensorflow", "ai-edge-litert")
    )
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    return (
        f"{today}, {name}, {os.cpu_count()} cores, {platform.system()},"
        f" Python {platform.python_version()}, {versions}"
    )


def replace_block(path: Path, start: str, end: str, lines: Sequence[str]) -> None:
    """Put lines between two marks of a file."""
    head, rest = path.read_text().split(start)
    path.write_text(head + start + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1])
