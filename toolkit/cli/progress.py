"""Progress of a run on standard error: a list of stages that grows, each with its result."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.cli.pace import Pace, in_words
from edgekit.types import StageRecord
from edgekit.wrapping import BOUND, WIDTH, cells, wrapped

if TYPE_CHECKING:
    from rich.text import Text

INTERRUPTED = "interrupted"
NAME = 20
BAR = 20
ITEM = 40
FURTHER = " " * 10
# The line of what goes on is no longer: a terminal that shrinks seldom has to wrap it.
WIDEST = 78
# Redraws in a second: whoever measures latency meanwhile should not notice.
RATE = 4
# In a log, a stage says in so many seconds that it goes on.
STILL = 60.0


@dataclass
class Stage:
    """A stage in progress, and how far it has come."""

    name: str
    number: int = 0
    of: int = 0
    done: float = 0.0
    total: float = 0.0
    text: str = ""
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    pace: Pace = field(default_factory=Pace)

    @property
    def count(self) -> str:
        """Which stage it is: ``3 of 9``; blank where nobody counts."""
        return f"{self.number} of {self.of}" if self.number else ""

    @property
    def step(self) -> str:
        """How far it has come: ``2 of 4``; empty where that is not known."""
        return f"{self.done:g} of {self.total:g}" if self.total > 1 and self.done % 1 == 0 else ""

    @property
    def spent(self) -> float:
        """The seconds since it began."""
        return time.monotonic() - self.began

    def left(self) -> str:
        """How long it still takes, where that is known."""
        seconds = self.pace.left()
        return "" if seconds is None else f"about {in_words(seconds)} left"


class LogProgress:
    """A line per stage, once it has ended; of one that takes minutes, a line a minute.

    A stage that nobody counts, such as waiting for another process, is told when it begins: it may
    never end.
    """

    def __init__(self) -> None:
        self._open: dict[str, Stage] = {}
        # The stage that was begun by nobody who would end it.
        self._loose = ""

    def __enter__(self) -> LogProgress:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if self._loose and error is None:
            self._end_loose()

    def stage(self, name: str) -> None:
        """Begin a stage that nobody counts; what was begun so before has ended."""
        self._end_loose()
        self.begin(name, 0, 0)
        self._loose = name
        self._announce(name)

    def update(self, done: float, total: float, text: str) -> None:
        """Show how far the latest stage has come."""
        if self._open:
            self.advance(list(self._open)[-1], done, total, text)

    def begin(self, stage: str, number: int, of: int) -> None:
        """Begin a stage."""
        self._open[stage] = Stage(stage, number, of)

    def advance(self, stage: str, done: float, total: float, text: str) -> None:
        """Show how far a stage has come."""
        going = self._open.get(stage)
        if going is None:
            return
        going.done, going.total, going.text = done, total, text
        going.pace.advance(done, total)
        self._show(going)

    def end(self, record: StageRecord) -> None:
        """Print what came of a stage."""
        going = self._open.pop(record.name, Stage(record.name))
        time_spent = "from the store" if record.cached else _seconds(record.seconds)
        self._print(going, time_spent, record.result, "")

    def fail(self, stage: str, seconds: float, reason: str) -> None:
        """Print that a stage was left; the error itself is told by whoever catches it."""
        going = self._open.pop(stage, Stage(stage))
        word = INTERRUPTED if reason == INTERRUPTED else "failed"
        self._print(going, _seconds(seconds), word, "yellow" if word == INTERRUPTED else "red")

    def _show(self, going: Stage) -> None:
        now = time.monotonic()
        if now - going.told < STILL:
            return
        going.told = now
        parts = [part for part in (going.step, going.text, going.left()) if part]
        self._print(going, "", f"after {in_words(going.spent)}: {', '.join(parts)}", "")

    def _print(self, going: Stage, spent: str, result: str, style: str) -> None:
        del style
        count = f"{going.count}  " if going.count else ""
        told = ", ".join(part for part in (spent, result) if part)
        print(f"{count}{going.name}: {told}", file=sys.stderr, flush=True)

    def _announce(self, name: str) -> None:
        print(f"{name} ...", file=sys.stderr, flush=True)

    def _end_loose(self) -> None:
        self._open.pop(self._loose, None)
        self._loose = ""


class TerminalProgress(LogProgress):
    """The stages that have ended as lines that stay, and below them a bar for each that goes on."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(file=sys.stderr, highlight=False)
        self._plain = not self._console.encoding.lower().startswith("utf")
        self._stack = ExitStack()
        self._live: Any = None

    def __enter__(self) -> TerminalProgress:
        from rich.live import Live

        self._live = Live(
            console=self._console,
            get_renderable=self._drawn,
            refresh_per_second=RATE,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._stack.enter_context(self._live)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        super().__exit__(kind, error, trace)
        self._open.clear()
        self._stack.close()

    def _show(self, going: Stage) -> None:
        """Leave it to the next redraw."""

    def _announce(self, name: str) -> None:
        """Leave it to the next redraw, which shows what goes on."""

    def _end_loose(self) -> None:
        going = self._open.get(self._loose)
        if going is not None:
            self.end(StageRecord(going.name, going.spent, False))
        self._loose = ""

    def _drawn(self) -> Any:
        from rich.text import Text

        width = min(self._console.width - 1, WIDEST)
        lines = [self._line(going, width) for going in self._open.values()]
        return Text("\n", end="").join(lines)

    def _line(self, going: Stage, width: int) -> Text:
        """Draw a stage in progress: its bar, count, time left, and what is being done."""
        from rich.text import Text

        line = Text(f"{_head(going)} ", no_wrap=True)
        if going.total > 0:
            filled = round(BAR * min(1.0, max(0.0, going.done / going.total)))
            full, empty = ("#", "-") if self._plain else ("━", "─")
            line.append(full * filled, "green").append(empty * (BAR - filled), "dim")
        times = going.left() or (_seconds(going.spent) if going.spent >= 1 else "")
        for part, style in ((going.step, ""), (times, "cyan"), (going.text, "dim")):
            room = width - line.cell_len - 2
            if not part or room < min(cells(part), 12):
                continue
            if fitted := _fitted(part, room):
                line.append(f"  {fitted}", style)
        if line.cell_len > width:
            line.truncate(width)
        return line

    def _print(self, going: Stage, spent: str, result: str, style: str) -> None:
        from rich.text import Text

        head = f"{_head(going)} {spent:>7}"
        # What has ended is not drawn again below its line.
        self._live.refresh()
        # A name stays beside its figure.
        parts = [
            part if len(part) > ITEM else part.replace(" ", BOUND) for part in result.split(", ")
        ]
        text = f"{head}  {', '.join(parts)}".rstrip()
        indent = text[: len(text) - len(text.lstrip())]
        told = wrapped(text.lstrip(), min(self._console.width, WIDTH), indent, FURTHER)
        first, *more = told
        name = len(_head(going))
        line = Text(first, no_wrap=True, overflow="ignore")
        line.stylize("dim", 0, name - max(NAME, cells(going.name)))
        line.stylize("dim", name, min(len(first), len(head)))
        line.stylize(style or "none", min(len(first), len(head)))
        self._console.print(line, crop=False)
        for text in more:
            self._console.print(Text(text, style), crop=False)


def shown() -> LogProgress:
    """Return what shows progress: redrawn on a terminal that can, else lines as of a log."""
    import os

    dumb = os.environ.get("TERM", "").lower() in ("", "dumb", "unknown")
    return TerminalProgress() if sys.stderr.isatty() and not dumb else LogProgress()


def _head(going: Stage) -> str:
    return f"{going.count:>8}  {going.name:<{NAME}}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else in_words(seconds)


def _fitted(text: str, room: int) -> str:
    """Return a text, or as many of its parts as there is room for, else of its words."""
    if cells(text) <= room:
        return text
    if parts := max((text[: room + 1].rpartition(mark)[0] for mark in (", ", ": ")), key=len):
        return parts
    words = text[: room - 3].rpartition(" ")[0]
    return f"{words} ..." if words else ""
