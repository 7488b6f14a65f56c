"""The help of every command: sections, examples that parse, and what there is to choose from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from conftest import answer
from edgekit.cli.help import GENERAL, Command, Option
from edgekit.cli.main import COMMANDS, group
from edgekit.errors import did_you_mean
from edgekit.targets.devices.transports import SCHEMES, schemes


def command(name: str) -> Command:
    found = group.get_command(click.Context(group), name)
    assert isinstance(found, Command)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_parse(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = answer(name, "--help", cwd=tmp_path).stdout
    examples = command(name).examples
    assert examples
    for what, line in examples:
        assert f"  # {what}\n  {line}\n" in shown
        assert len(line) <= 96
        words = shlex.split(line.removeprefix('eval "$(').removesuffix(')"'))
        assert words[:2] == ["edgekit", name]
        command(name).make_context(name, words[2:])


def test_example_with_a_wrong_option_does_not_parse() -> None:
    with pytest.raises(click.UsageError):
        command("convert").make_context("convert", ["model.keras", "--max-dorp", "1%"])


@pytest.mark.parametrize("name", COMMANDS)
def test_options_that_commands_share_stand_in_sections(name: str, tmp_path: Path) -> None:
    shown = answer(name, "--help", cwd=tmp_path).stdout
    options = [one for one in command(name).params if isinstance(one, click.Option)]
    assert all(isinstance(one, Option) for one in options)
    for one in options:
        if "--json" not in one.opts:
            assert shown.index(one.opts[-1]) < shown.index(f"{GENERAL}:") or one.section == GENERAL
    # A section holds no more than a reader takes in.
    sections: dict[str, int] = {}
    for one in options:
        sections[one.section] = sections.get(one.section, 0) + 1
    assert max(sections.values(), default=0) <= 14, sections


def test_no_command_prints_the_help_and_is_no_success(tmp_path: Path) -> None:
    alone, asked = answer(cwd=tmp_path), answer("--help", cwd=tmp_path)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert alone.stderr.strip() == asked.stdout.strip()
    for name in COMMANDS:
        assert f"\n  {name} " in asked.stdout
    assert asked.stdout.index("Make:") < asked.stdout.index("Ship:")


def test_help_of_device_names_every_scheme(tmp_path: Path) -> None:
    shown = " ".join(answer("bench", "--help", cwd=tmp_path).stdout.split())
    assert len(schemes()) >= 4
    for name in schemes():
        assert " ".join(SCHEMES[name].form.split()) in shown


@pytest.mark.parametrize(
    ("words", "nearest", "known"),
    [
        (["convrt"], "convert", ["compress", "bench", "targets"]),
        (["convert", "--max-dorp", "1%"], "--max-drop", []),
        (["check-files", "m.tflite", "--target", "raspbery-pi-4"], "raspberry-pi-4", ["cortex-m4"]),
        (["targets", "show", "raspbery-pi-4"], "raspberry-pi-4", ["android-arm64"]),
        (["convert", "m.py:f", "--target", "raspbery-pi-4"], "raspberry-pi-4", ["cortex-m4"]),
        (["convert", "m.py:f", "--precision", "int9"], "int8", ["float16", "int16x8"]),
        (["convert", "m.py:f", "--metric", "acuracy"], "accuracy", ["top_3", "mean_iou"]),
        (["convert", "m.py:f", "--task", "clasification"], "classification", ["regression"]),
        (["devices", "list", "shh://board"], "ssh", ["adb://", "serial://"]),
        (["devices", "list", "loccal"], "local", ["tflm", "ssh://"]),
        (["devices", "list", "local:litrt"], "litert", ["tflite-runtime", "tflm"]),
        (["devices", "lst"], "list", ["setup", "create"]),
        (["convert", "--device", "local"], "[targets.NAME] device", ["bench, compare"]),
        (["explain", "EK-DATA-04"], "EK-DATA-044", []),
        (["bundle", "m.tflite", "--target", "pi9"], "pi5", ["cortex-m4"]),
        (["convert", "--project", "typo.toml"], "evaluate", ["representative", "label_column"]),
    ],
)
def test_what_is_unknown_is_told_with_the_nearest_and_what_there_is(
    words: list[str], nearest: str, known: list[str], tmp_path: Path
) -> None:
    (tmp_path / "m.py").write_text("def f(): pass\n")
    (tmp_path / "typo.toml").write_text("[model]\nsource = 'm.py:f'\n[data]\nevalute = 'x'\n")
    done = answer(*words, cwd=tmp_path)
    assert done.returncode in (2, 3)
    assert nearest in done.stderr, done.stderr
    for name in known:
        assert name in done.stderr, done.stderr


def test_far_from_everything_nothing_is_suggested() -> None:
    assert did_you_mean("zzzzzz", COMMANDS) == ""


def test_missing_argument_is_told_with_an_example(tmp_path: Path) -> None:
    done = answer("inspect", cwd=tmp_path)
    assert done.returncode == 2
    assert "for example: edgekit inspect model.tflite" in done.stderr
