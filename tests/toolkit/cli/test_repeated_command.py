"""The command that repeats a run, as a shell takes it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from edgekit.cli.command_line import command_line


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("convert",), "edgekit convert"),
        (("bench", "{here}/a b.tflite"), "edgekit bench 'a b.tflite'"),
        (("convert", "--output={here}/out"), "edgekit convert --output=out"),
        (("compare", "$x", "it's"), """edgekit compare '$x' 'it'"'"'s'"""),
        (None, ""),
    ],
)
def test_a_command_is_told_as_a_shell_takes_it_from_this_folder(
    given: tuple[str, ...] | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = given and tuple(word.format(here=tmp_path) for word in given)
    with click.Context(click.Command("edgekit"), obj=words):
        assert command_line() == said
