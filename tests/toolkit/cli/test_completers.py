"""What completion offers, and that the shells themselves complete it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from conftest import EDGEKIT, edgekit
from edgekit.api.pages import REPORTS
from edgekit.cli import completers
from edgekit.cli.completers import WholeWords
from edgekit.cli.main import COMPLETING, group

PROJECT = """
[model]
source = "model.py:build"
[devices.lab-board]
address = "ssh://pi@board"
[targets.linux-x86_64]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder, with files of every kind."""
    place = tmp_path_factory.mktemp("completed")
    (place / "edgekit.toml").write_text(PROJECT)
    (place / "model.py").write_text("raise SystemExit('was run')\ndef build(): ...\n")
    for name in ("mine.keras", "mine.tflite", "mine.npz", "mine.tar.gz", "mine.txt", ".hidden.h5"):
        (place / name).touch()
    (place / "models" / "old").mkdir(parents=True)
    for day, left in enumerate(REPORTS, 1):
        run = place / ".edgekit" / "runs" / f"2026010{day}-000000-abcdef"
        run.mkdir(parents=True)
        (run / left).touch()
    return place


def offered(line: str, folder: Path) -> list[str]:
    """What bash is answered for a line: the words, each completed from where bash split it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EDGEKIT_COMP_LINE", f"edgekit {line}")
        patch.setenv("EDGEKIT_COMP_WORDBREAKS", " \t\n\"'@><=;|&(:")
        said = WholeWords(group, {}, "edgekit", COMPLETING).complete()
    return [part.partition(",")[2] for part in said.splitlines()]


@pytest.mark.parametrize(
    ("line", "expected", "absent"),
    [
        ("convert m", ["mine.keras", "mine.tflite", "model.py", "models/"], ["mine.npz"]),
        ("convert model.py:", ["build"], []),
        ("convert --data mi", ["mine.npz"], ["mine.keras", "mine.txt"]),
        ("init --recipe a", ["audio"], ["images", "csv"]),
        ("convert --labels mi", ["mine.txt"], ["mine.npz"]),
        ("convert --project ", ["edgekit.toml"], ["mine.txt"]),
        ("convert --target rasp", ["raspberry-pi-4"], ["cortex-m4"]),
        ("convert --precision int", ["int8", "int16x8"], ["float32"]),
        ("convert --metric mean", ["mean_iou"], ["accuracy"]),
        ("convert --task cl", ["classification"], ["regression"]),
        ("bench mine.tflite --device ", ["lab-board", "local", "tflm", "ssh://"], ["build"]),
        ("bench mine.tflite --device local:lit", ["litert"], ["local"]),
        ("inspect mi", ["mine.tflite"], ["mine.keras"]),
        ("targets show cor", ["cortex-m4"], ["mine.tflite"]),
        ("targets fit mi", ["mine.tflite"], ["raspberry-pi-4"]),
        ("verify mi", ["mine.tar.gz"], ["mine.tflite"]),
        ("bundle 2", ["20260101-000000-abcdef"], ["mine.tflite", "20260102-000000-abcdef"]),
        ("report ", [f"2026010{day}-000000-abcdef" for day in (4, 3, 2, 1)], ["mine.tflite"]),
        ("report --compare 2", ["20260101-000000-abcdef"], ["20260102-000000-abcdef"]),
        ("explain EK-INIT", ["EK-INIT-001"], ["EK-DATA-001"]),
        ("explain si", ["size"], ["EK-INIT-001"]),
        ("devices setup lo", ["local:litert"], ["tflm"]),
    ],
)
def test_completion_offers_what_fits(
    line: str, expected: list[str], absent: list[str], folder: Path
) -> None:
    found = offered(line, folder)
    assert set(expected) <= set(found), found
    assert not set(absent) & set(found), found
    assert ".hidden.h5" not in found


@pytest.mark.slow
def test_fish_completes(folder: Path) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    lines = 'edgekit completion fish | source; complete -C "edgekit {}"'
    for typed, expected in (
        ("convert min", "mine.keras"),
        ("bench mine.tflite --device local:lit", "local:litert"),
        ("explain EK-INIT", "EK-INIT-001"),
    ):
        done = subprocess.run(
            ["fish", "--no-config", "-c", lines.format(typed)],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert expected in done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shell_completes_as_it_is_typed(shell: str, folder: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    start = {
        "bash": (["bash", "--norc", "-i"], "bind 'set enable-bracketed-paste off'"),
        "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D"),
    }
    words, prepare = start[shell]
    said = edgekit("completion", shell, cwd=folder).stdout.partition("    #")[0]
    for typed, expected in (
        ("convert mine.k", "convert mine.keras"),
        ("convert model.py:b", "convert model.py:build"),
        ("bench mine.tflite --device local:lit", "--device local:litert"),
        ("inspect mi", "inspect mine.tflite"),
    ):
        assert expected in typed_in(words, [prepare, said], f"edgekit {typed}\t", expected, folder)


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(EDGEKIT.parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "TERM": "dumb", "PS1": "> ", "COLUMNS": "120"}


def typed_in(words: list[str], prepare: list[str], line: str, expected: str, folder: Path) -> str:
    """What a shell shows when a line is typed into it, until it shows what is expected."""
    terminal, end = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), end)
    child = subprocess.Popen(
        words, cwd=folder, env=environment(), start_new_session=True, **streams
    )
    os.close(end)
    try:
        os.write(terminal, "".join(f"{one}\n" for one in (*prepare, "echo rea''dy")).encode())
        _until(terminal, "ready")
        os.write(terminal, line.encode())
        return _until(terminal, expected)
    finally:
        child.kill()
        child.wait()
        os.close(terminal)


def _until(terminal: int, expected: str, seconds: float = 30) -> str:
    shown, end = "", time.monotonic() + seconds
    while expected not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


def test_completion_knows_every_report_that_the_command_takes() -> None:
    assert completers.REPORTS == REPORTS
