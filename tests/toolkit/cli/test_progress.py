"""Progress in a log and on a terminal, driven as a run does: its list, its time left, its end."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit.cli.pace import Pace, in_words
from edgekit.cli.progress import LogProgress, _fitted
from edgekit.types import StageRecord

# What a run does to its progress, slowly enough to be drawn.
RUN = """
import sys, time
from edgekit.cli.console import progress
from edgekit.types import StageRecord

with progress(False) as shown:
    shown.begin("train", 1, 3)
    for step in range(8):
        shown.advance("train", step, 8, "epoch %d: accuracy 0.987654321, loss 0.123456789" % step)
        time.sleep(0.05)
    shown.end(StageRecord("train", 8.25, False, "accuracy 0.9766"))
    shown.begin("convert", 2, 3)
    shown.end(StageRecord("convert", 0.01, True, "int8 27.7 kB, " * 12 + "float32 89.5 kB"))
    if "wait" in sys.argv:
        shown.begin("evaluate", 3, 3)
        try:
            print("ready", flush=True)
            time.sleep(30)
        except KeyboardInterrupt:
            shown.fail("evaluate", 1.5, "interrupted")
"""


def on_terminal(
    folder: Path, *words: str, columns: int = 80, stop: bool = False, **environment: str
) -> str:
    """Run it on a terminal of its own, and return what that was sent; with a Ctrl-C, if asked."""
    master, slave = pty.openpty()
    settings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *words],
        cwd=folder,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        env=settings,
        text=True,
    )
    os.close(slave)
    if stop:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
    sent = b""
    end = time.monotonic() + 60
    with contextlib.suppress(OSError):
        while time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                sent += os.read(master, 65536)
            elif process.poll() is not None:
                break
    process.communicate(timeout=60)
    os.close(master)
    return sent.decode()


def plain(sent: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", sent).splitlines()]


def test_stages_stay_on_the_terminal_with_time_and_result(tmp_path: Path) -> None:
    sent = on_terminal(tmp_path)
    lines = plain(sent)
    assert any(re.fullmatch(r" +1 of 3  train +8\.2 s  accuracy 0\.9766", one) for one in lines)
    assert any(re.match(r" +2 of 3  convert +from the store  int8 27\.7 kB,", one) for one in lines)
    assert any(one.endswith(" float32 89.5 kB") for one in lines)
    assert max(map(len, lines)) <= 80
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")

    # While it went on, its line was another.
    assert any(re.search(r"train .*━─.* of 8 .*epoch \d", one) for one in lines)


def test_interruption_shows_the_cursor_again_and_where_it_was(tmp_path: Path) -> None:
    sent = on_terminal(tmp_path, "wait", stop=True)
    assert any(re.search(r"3 of 3  evaluate +1\.5 s  interrupted", one) for one in plain(sent))
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")


def test_no_color_is_heeded_and_a_dumb_terminal_gets_lines(tmp_path: Path) -> None:
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", on_terminal(tmp_path, NO_COLOR="1"))
    dumb = on_terminal(tmp_path, TERM="dumb")
    assert "\x1b" not in dumb
    assert "1 of 3  train: 8.2 s, accuracy 0.9766" in dumb


def test_log_has_a_line_per_stage_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with LogProgress() as log:
        log.begin("train", 1, 2)
        log.update(1, 2, "epoch 1")
        log.end(StageRecord("train", 65.31, False, "accuracy 0.97"))
        log.begin("convert", 2, 2)
        log.end(StageRecord("convert", 0.02, True, "int8 27.7 kB"))
        log.stage("installing numpy")
    assert capsys.readouterr().err.splitlines() == [
        "1 of 2  train: 65.3 s, accuracy 0.97",
        "2 of 2  convert: from the store, int8 27.7 kB",
        "installing numpy ...",
    ]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def paced(*steps: tuple[float, float], total: float = 10, now: float | None = None) -> Pace:
    """Return a pace that has seen ``steps``, each a time and what was done by then."""
    clock = Clock()
    pace = Pace(clock)
    for clock.now, done in steps:
        pace.advance(done, total)
    clock.now = clock.now if now is None else now
    return pace


def test_time_left_is_that_of_the_rate_so_far() -> None:
    assert paced((0, 0), (2, 1), (4, 2)).left() == 16
    assert paced((0, 0), (2, 1), (4, 2), now=5).left() == 15


@pytest.mark.parametrize(
    "steps",
    [
        ((0, 0), (10, 1)),
        ((0, 0), (0.1, 1), (0.2, 2)),
        ((0, 0), (2, 5), (4, 8), (5, 1)),
        ((0, 0), (2, 5), (4, 10)),
    ],
    ids=["one step", "too short", "another part has begun", "all is done"],
)
def test_time_left_is_not_said_before_it_is_known(steps: tuple[tuple[float, float], ...]) -> None:
    assert paced(*steps).left() is None


def test_time_left_grows_while_a_step_is_late() -> None:
    seen = [paced((0, 0), (2, 1), (4, 2), now=now).left() for now in (4, 6, 10, 40)]
    assert seen == [16, 14, 40, 160]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "1 s"), (19, "19 s"), (33, "35 s"), (130, "2 min"), (9000, "2.5 h")],
)
def test_time_left_is_told_as_coarsely_as_it_is_known(seconds: float, told: str) -> None:
    assert in_words(seconds) == told


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("launch 1 of 6: 5 candidates", 27, "launch 1 of 6: 5 candidates"),
        ("launch 1 of 6: 5 candidates", 17, "launch 1 of 6"),
        ("loss 0.0123, accuracy 0.99", 20, "loss 0.0123"),
        ("installing numpy now", 19, "installing ..."),
        ("dynamic@tflite-2.14", 12, ""),
    ],
)
def test_what_does_not_fit_beside_a_bar_is_left_out_not_cut(
    text: str, room: int, shown: str
) -> None:
    assert _fitted(text, room) == shown
