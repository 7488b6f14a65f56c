"""Options and project files that are wrong: a clear error with its code, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusing import assert_refused

from conftest import answer

pytestmark = pytest.mark.usefixtures("lent_worker")


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        (("--precision", "int9"), "EK-PROJECT-004", "did you mean 'int8'?"),
        (("--metric", "acuracy"), "EK-PROJECT-004", "did you mean 'accuracy'?"),
        (("--target", "raspbery-pi-4"), "EK-PROJECT-003", "did you mean 'raspberry-pi-4'?"),
        (("--project", "none.toml"), "EK-PROJECT-001", "there is no project file none.toml"),
    ],
)
def test_option_is_refused_when_its_value_is_unknown(
    tmp_path: Path, models: Path, option: tuple[str, str], code: str, words: str
) -> None:
    done = answer("convert", models / "keras3.keras", "--data", "d.npz", *option, cwd=tmp_path)
    assert words in assert_refused(done, code, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("convrt",), "No such command 'convrt'. Did you mean 'convert'?"),
        (("convert", "--presicion", "int8"), "--precision"),
        (("convert", "--max-size", "150"), "'150' is not a size: write a number and one of B, kB"),
        (("convert", "--max-size", "150 kb"), "'150 kb' is not a size"),
        (("convert", "--max-drop", "much"), "'much' is not a number"),
        (("convert", "--rescale", "1/0"), "'1/0' is not a number or a fraction"),
        (("convert", "--prune", "1"), "0<x<1"),
        (("convert", "--epochs", "0"), "x>=1"),
        (("convert", "a.keras", "b.keras"), "one MODEL is converted at a time"),
        (("targets", "show"), "show needs a target"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_command_line_is_refused_when_mistyped(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = answer(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert words in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


def test_what_is_for_another_kind_of_source_is_refused(tmp_path: Path, models: Path) -> None:
    (tmp_path / "model.py").write_text("def build(): raise SystemExit")
    (tmp_path / "edgekit.toml").write_text('schema = 1\n[model]\nsource = "model.py:build"\n')
    done = answer("convert", "--weights", "w.h5", cwd=tmp_path)
    said = assert_refused(done, "EK-PROJECT-082", tmp_path)
    assert "weights is for the file of a model, and model.py:build is a function" in said
    source = str(models / "keras3.keras")
    (tmp_path / "edgekit.toml").write_text(
        f"schema = 1\n[model]\nsource = '{source}'\narguments = {{ units = 4 }}\n"
    )
    said = assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-082", tmp_path)
    assert "arguments is for a function that builds a model" in said


def test_project_is_asked_for_when_there_is_none(tmp_path: Path) -> None:
    said = assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-001", tmp_path)
    assert "edgekit init" in said


PROJECT = """\
schema = 1
[model]
source = "m.keras"
[data]
evaluate = "d.npz"
[convert]
precisions = ["float32"]
"""


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (
            "[trian]\nepochs = 1",
            "EK-PROJECT-003",
            "line 8: unknown key 'trian'; did you mean 'train'?",
        ),
        (
            "[train]\nepoch = 1",
            "EK-PROJECT-003",
            "line 9: unknown key 'train.epoch'; did you mean 'epochs'?",
        ),
        ("[train]\nepochs = 0", "EK-PROJECT-003", "line 9: train.epochs: "),
        ('[train]\nepochs = "many"', "EK-PROJECT-003", "line 9: train.epochs: "),
        (
            '[evaluate]\nmetric = "acuracy"',
            "EK-PROJECT-004",
            "line 9: unknown metric 'acuracy'; did you mean 'accuracy'?",
        ),
        (
            "[targets.raspbery-pi-4]",
            "EK-PROJECT-003",
            "line 8: targets: unknown target 'raspbery-pi-4'; did you mean 'raspberry-pi-4'?",
        ),
        (
            '[targets.raspberry-pi-4]\nprecision = "int7"',
            "EK-PROJECT-004",
            "line 9: unknown precision 'int7'; did you mean 'int8'?",
        ),
        (
            '[targets.raspberry-pi-4.budgets]\nsizes = "1 kB"',
            "EK-PROJECT-003",
            "line 9: unknown key 'targets.raspberry-pi-4.budgets.sizes'; did you mean 'size'?",
        ),
        (
            '[targets.raspberry-pi-4.budgets]\nsize = "150 kb"',
            "EK-PROJECT-003",
            "line 9: targets.raspberry-pi-4.budgets.size: '150 kb' is not a size: write a number"
            " and one of B, kB, MB, GB, KiB, MiB, GiB; did you mean '150 kB'?",
        ),
        (
            "[targets.raspberry-pi-4.budgets]\nsize = 150",
            "EK-PROJECT-003",
            "line 9: targets.raspberry-pi-4.budgets.size: 150 is not a size",
        ),
        (
            '[targets.raspberry-pi-4.budgets]\nlatency_p50 = "5"',
            "EK-PROJECT-003",
            "line 9: targets.raspberry-pi-4.budgets.latency_p50: '5' is not a time",
        ),
        (
            '[limits]\nmemory = "2 gigs"',
            "EK-PROJECT-003",
            "line 9: limits.memory: '2 gigs' is not a size",
        ),
        ("[limits]\nmemory = ", "EK-PROJECT-002", "line 9"),
        ("[model]\n", "EK-PROJECT-002", "line 8"),
    ],
)
def test_project_is_refused_with_its_line_when_wrong(
    tmp_path: Path, more: str, code: str, words: str
) -> None:
    (tmp_path / "edgekit.toml").write_text(PROJECT + more + "\n")
    said = assert_refused(answer("convert", cwd=tmp_path), code, tmp_path)
    assert "edgekit.toml" in said
    assert words in said


def test_project_is_refused_with_its_line_when_a_precision_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_text(PROJECT.replace("float32", "flot32"))
    said = assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-004", tmp_path)
    assert "edgekit.toml, line 7: unknown precision 'flot32'; did you mean 'float32'?" in said


def test_project_is_refused_when_it_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_bytes(b"schema = 1\nname = '\xff\xfe'\n")
    assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-002", tmp_path)


def test_project_is_refused_when_it_names_no_model(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_text("schema = 1\n[data]\nevaluate = 'd.npz'\n")
    said = assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-003", tmp_path)
    assert "model" in said
