"""edgekit.toml: what it takes, and how it says what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import ProjectError
from edgekit.project import Project, parse_number
from edgekit.types.units import parse_size

MINIMAL = '[model]\nsource = "model.keras"\n'


def load(folder: Path, text: str, name: str = "edgekit.toml") -> Project:
    (folder / name).write_text(text)
    return Project.load(folder / name)


@pytest.mark.parametrize(
    ("text", "size"), [("150 kB", 150_000), ("64 KiB", 65_536), ("1.5MB", 1_500_000), ("7 B", 7)]
)
def test_size_is_read_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["150", "150 kb", "150 KB", "-1 kB", "kB", "", 150, None])
def test_size_is_refused_without_a_known_unit(text: object) -> None:
    with pytest.raises(ValueError, match="kB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("value", "number"), [("1/255", 1 / 255), ("1/127.5", 1 / 127.5), (0.5, 0.5), ("2", 2.0)]
)
def test_number_may_be_a_fraction(value: object, number: float) -> None:
    assert parse_number(value) == number


@pytest.mark.parametrize("value", ["1/0", "a", "1/2/3"])
def test_number_is_refused_when_it_is_none(value: str) -> None:
    with pytest.raises(ValueError, match=r"1/255|fraction"):
        parse_number(value)


def test_project_has_defaults_for_everything_but_the_model(tmp_path: Path) -> None:
    project = load(tmp_path, MINIMAL)
    assert project.convert.precisions == ("float32", "float16", "dynamic", "int8")
    assert project.root == tmp_path.resolve()


def test_project_is_read_from_pyproject(tmp_path: Path) -> None:
    text = '[tool.edgekit.model]\nsource = "m.h5"\n[project]\nname = "x"\n'
    assert load(tmp_path, text, "pyproject.toml").model.source == "m.h5"


@pytest.mark.parametrize(
    ("addition", "line", "meant"),
    [
        ("[trian]\nepochs = 3\n", 3, "train"),
        ("[train]\nepoch = 3\n", 4, "epochs"),
        ("[data.preprocess]\nscael = 2\n", 4, "scale"),
        ("[targets.linux-x86_64.budgets]\nsise = '1 kB'\n", 4, "size"),
        ("[targets.raspbery-pi-4]\nprecision = 'int8'\n", 3, "raspberry-pi-4"),
        ("[compress.prune]\nsparsity = 0.5\nshedule = 'constant'\n", 5, "schedule"),
    ],
)
def test_unknown_key_is_named_with_its_line_and_a_guess(
    tmp_path: Path, addition: str, line: int, meant: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        load(tmp_path, MINIMAL + addition)
    assert f"edgekit.toml, line {line}: " in str(caught.value)
    assert f"did you mean {meant!r}?" in str(caught.value)


@pytest.mark.parametrize(
    "addition",
    [
        "[train]\nepochs = 0\n",
        "[compress.prune]\nsparsity = 1.5\n",
        "[convert]\nprecisions = []\n",
        "[limits]\nmemory = '8 gigs'\n",
        "[targets.linux-x86_64.budgets]\nlatency_p50 = '5 hours'\n",
    ],
)
def test_wrong_value_is_named_with_its_line(tmp_path: Path, addition: str) -> None:
    with pytest.raises(ProjectError) as caught:
        load(tmp_path, MINIMAL + addition)
    assert caught.value.code == "EK-PROJECT-003"
    assert "edgekit.toml, line " in str(caught.value)
