"""How far a run has come, by what it leaves in its folder as it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from edgekit import scratch
from edgekit.types.progress import PROGRESS_FILE

# More than the longest run writes; what is before is not read.
LARGEST = 8 << 20
LOG = "log.txt"
LOG_BYTES, LOG_LINES = 16 << 10, 40
DONE, INTERRUPTED = "done", "interrupted"
RESULTS = ("report.json", "evaluate.json", "compare.json", "bench.json")
RunState = Literal["running", "finished", "stopped", "killed"]


@dataclass(frozen=True)
class StageState:
    """A stage: to come, running, done or failed; ``text`` says what is being done, or what was.

    ``number`` of ``of`` counts it, 0 where it is not one of those. ``begun`` is in seconds since
    1970, ``seconds`` what it took.
    """

    name: str
    state: Literal["to come", "running", "done", "failed"] = "to come"
    number: int = 0
    of: int = 0
    done: float = 0.0
    total: float = 0.0
    text: str = ""
    begun: float | None = None
    seconds: float | None = None
    cached: bool = False


@dataclass(frozen=True)
class LiveRun:
    """A run: how it goes, why it stopped, its stages in order, and the end of its log.

    ``has_page`` says that it has left what its page is drawn from.
    """

    run: str
    state: RunState
    reason: str
    begun: float | None
    stages: tuple[StageState, ...]
    log: tuple[str, ...]
    has_page: bool = False


def live_run(folder: Path) -> LiveRun:
    """Read how far the run in a folder has come; what is damaged there is left out."""
    stages: dict[str, StageState] = {}
    expected: list[str] = []
    begun, stopped = None, None
    for line in _lines(folder / PROGRESS_FILE):
        begun = line["time"] if begun is None else begun
        if line["event"] == "expected":
            expected = [str(name) for name in line.get("stages", ())]
        elif line["event"] == "stopped":
            stopped = str(line.get("reason", DONE))
        elif name := str(line.get("stage", "")):
            if name in expected:
                expected = expected[expected.index(name) + 1 :]
            stages[name] = _after(stages.get(name, StageState(name)), line)
    has_page = any((folder / name).is_file() for name in RESULTS)
    state = "finished" if has_page else _state(folder, stopped)
    to_come = [StageState(name) for name in expected if name not in stages]
    shown = (*stages.values(), *(to_come if state == "running" else ()))
    reason = "" if stopped in (None, DONE) else str(stopped)
    return LiveRun(folder.name, state, reason, begun, shown, _log(folder / LOG), has_page)


def _after(stage: StageState, line: dict[str, Any]) -> StageState:
    """Return a stage as it is after one more line."""
    event = line["event"]
    if event == "begun":
        number, of = int(line.get("number", 0)), int(line.get("of", 0))
        return replace(stage, state="running", number=number, of=of, begun=line["time"])
    if event == "advanced":
        done, total = float(line.get("done", 0)), float(line.get("total", 0))
        return replace(stage, done=done, total=total, text=str(line.get("text", "")))
    seconds = float(line.get("seconds", 0))
    if event == "failed":
        return replace(stage, state="failed", seconds=seconds, text=str(line.get("reason", "")))
    if event == "ended":
        text, cached = str(line.get("result") or ""), bool(line.get("cached"))
        return replace(stage, state="done", seconds=seconds, text=text, cached=cached)
    return stage


def _state(folder: Path, stopped: str | None) -> RunState:
    """Tell how a run goes: one that nobody holds any more, and that has not stopped, was killed."""
    if stopped is not None:
        return "finished" if stopped == DONE else "stopped"
    return "running" if scratch.is_held(folder) else "killed"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines that are whole."""
    for text in _tail(path, LARGEST).splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if (
            isinstance(line, dict)
            and isinstance(line.get("event"), str)
            and isinstance(line.get("time"), int | float)
        ):
            yield line


def _log(path: Path) -> tuple[str, ...]:
    return tuple(_tail(path, LOG_BYTES).splitlines()[-LOG_LINES:])


def _tail(path: Path, most: int) -> str:
    """Read the end of a file; nothing where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            return file.read(most).decode("utf-8", "replace")
    except OSError:
        return ""
