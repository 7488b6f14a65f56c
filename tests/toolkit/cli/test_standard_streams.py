"""Readers that leave, full disks, closed streams and ASCII terminals: none of them is a verdict."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

# A command that prints what a table may hold, more than a pipe takes, and ends with a verdict.
COMMAND = """
import sys
import click
import edgekit.cli.main
from edgekit.cli.console import console
from rich.table import Table

@click.command("planted")
def planted():
    console(False).print(Table("2.5 µs – 3 ≤ 4", title="é \\ud800"))
    for _ in range(5000):
        click.echo("latency 2.5 µs – 3 × \\ud800")
    return int(sys.argv[1])

module = sys.modules["edgekit.cli.main"]
module.group.get_command = lambda *_: planted
module.main(["convert"])
"""


def planted(
    tmp_path: Path, code: int, shell: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with a verdict as the shell's text says: ``COMMAND`` stands for it."""
    (tmp_path / "planted.py").write_text(COMMAND)
    command = shlex.join([sys.executable, str(tmp_path / "planted.py"), str(code)])
    return subprocess.run(
        ["bash", "-c", shell.replace("COMMAND", command)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
        encoding="utf-8",
    )


@pytest.mark.parametrize("code", [0, 1, 4])
def test_verdict_stands_when_only_the_reader_left(tmp_path: Path, code: int) -> None:
    done = planted(tmp_path, code, "COMMAND | head -1 >/dev/null; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("where", [">/dev/full", ">&-"], ids=["full", "closed"])
def test_lost_output_is_no_verdict(tmp_path: Path, where: str) -> None:
    done = planted(tmp_path, 1, f"COMMAND {where}")
    assert done.returncode == 2
    assert "error EK-OUTPUT-002: standard output cannot be written" in done.stderr
    assert "exit code 1" in done.stderr


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", "<&- 2>&-"])
def test_verdict_stands_when_standard_error_is_lost(tmp_path: Path, where: str) -> None:
    assert planted(tmp_path, 4, f"COMMAND >/dev/null {where}").returncode == 4


def test_terminal_in_ascii_gets_ascii(tmp_path: Path) -> None:
    done = planted(tmp_path, 4, "COMMAND", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout.isascii()
    assert "latency 2.5 us - 3 x" in done.stdout
    assert "2.5 us - 3 <= 4" in done.stdout


def test_text_that_is_no_text_is_printed_all_the_same(tmp_path: Path) -> None:
    done = planted(tmp_path, 0, "COMMAND", PYTHONIOENCODING="utf-8")
    assert done.returncode == 0
    assert "2.5 µs – 3 × \\ud800" in done.stdout
