"""Targets that a project brings along, names of the catalog's, and what is wrong with a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import answer
from edgekit.errors import ProjectError
from edgekit.inspection.entries import problems
from edgekit.project import Project, own_targets
from edgekit.targets import catalog

MODEL = '[model]\nsource = "missing.keras"\n'
MINE = """\
title = "A solar roof"
aliases = ["my-roof"]
system = "Linux"
machine = "riscv64"
bundle = "linux-python"

[[runtimes]]
name = "litert"
package = "ai-edge-litert"
version = "2.3.0"
"""


@pytest.fixture(autouse=True)
def catalog_as_it_was() -> Iterator[None]:
    """What a test adds to the catalog of this process goes again."""
    before = dict(catalog.FILES)
    yield
    for name in set(catalog.FILES) - set(before):
        catalog.remove(name)


def project(folder: Path, text: str, **files: str) -> Project:
    (folder / "targets").mkdir()
    for name, content in files.items():
        (folder / "targets" / f"{name}.toml").write_text(content)
    (folder / "mine.toml").write_text(MINE)
    (folder / "edgekit.toml").write_text(MODEL + text)
    return Project.load(folder / "edgekit.toml")


def test_target_of_a_file_is_one_of_the_catalog(tmp_path: Path) -> None:
    made = project(tmp_path, '[targets.roof]\nfile = "mine.toml"\nprecision = "int8"\n')
    assert list(made.targets) == ["roof"]
    assert catalog.load("roof").machine == "riscv64"
    # Whatever becomes of the file, this process has it.
    (tmp_path / "mine.toml").unlink()
    assert "roof" in {target.id for target in catalog.every()}


def test_targets_of_the_folder_beside_the_project_are_there_by_their_file_names(
    tmp_path: Path,
) -> None:
    made = project(tmp_path, "[targets.my-roof]\n", roof=MINE)
    assert list(made.targets) == ["roof"]


@pytest.mark.parametrize("alias", ["pi4", "rpi4"])
def test_project_calls_a_target_by_its_alias(tmp_path: Path, alias: str) -> None:
    made = project(tmp_path, f"[targets.{alias}]\nprecision = 'int8'\n")
    assert {name: table.precision for name, table in made.targets.items()} == {
        "raspberry-pi-4": "int8"
    }
    assert list(made.table["targets"]) == ["raspberry-pi-4"]


@pytest.mark.parametrize(
    ("text", "files", "code", "told"),
    [
        ("[targets.pi4]\n[targets.raspberry-pi-4]\n", {}, "071", "are one target"),
        (
            "[targets.roof]\n",
            {"roof": MINE.replace("title", "titel")},
            "070",
            "did you mean 'title'",
        ),
        ("[targets.roof]\nfile = 'none.toml'\n", {}, "070", "cannot be read"),
        ("", {"raspberry-pi-4": MINE}, "071", "is a target of edgekit's own"),
        ("", {"pi4": MINE}, "071", "is another name of edgekit's raspberry-pi-4"),
        ("[targets.rooof]\n", {"roof": MINE}, "003", "did you mean 'roof'"),
        ("[targets.pi44]\n", {}, "003", "did you mean 'pi4'"),
        ("[targets.nano33bl]\n", {}, "003", "did you mean 'nano33ble'"),
        ("[targets]\npi4 = 3\n", {}, "003", "raspberry-pi-4"),
    ],
)
def test_target_that_is_wrong_is_refused(
    tmp_path: Path, text: str, files: dict[str, str], code: str, told: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        project(tmp_path, text, **files)
    assert caught.value.code == f"EK-PROJECT-{code}"
    assert told in f"{caught.value.message}\n{caught.value.hint}"


def test_file_of_the_folder_that_nobody_names_stops_nothing(tmp_path: Path) -> None:
    project(tmp_path, "[targets.pi4]\n", other="x = 1\n")
    done = answer("targets", cwd=tmp_path)
    assert done.returncode == 0
    assert "other.toml, line 1: x: unknown key" in done.stderr


def test_option_takes_an_alias_and_an_own_target(tmp_path: Path) -> None:
    project(tmp_path, "", roof=MINE)
    for name in ("pi4", "roof", "my-roof"):
        done = answer("convert", "--target", name, cwd=tmp_path)
        assert "EK-MODEL-001" in done.stderr
    done = answer("convert", "--target", "pi44", cwd=tmp_path)
    assert (done.returncode, "did you mean 'pi4'" in done.stderr) == (2, True)


def test_report_carries_the_targets_that_are_a_projects_own(tmp_path: Path) -> None:
    made = project(tmp_path, "[targets.pi4]\n[targets.roof]\n", roof=MINE)
    held = json.loads(json.dumps(own_targets.written(made.targets)))
    assert list(held) == ["roof"]
    catalog.remove("roof")
    own_targets.add_written(held)
    assert catalog.load("my-roof").title == "A solar roof"
    with pytest.raises(ProjectError, match="roof2"):
        own_targets.add_written({"roof2": {"title": 3}})


def test_list_and_show_name_own_targets_and_aliases(tmp_path: Path) -> None:
    project(tmp_path, "", roof=MINE)
    assert "A solar roof (my-roof)" in answer("targets", cwd=tmp_path).stdout
    shown = answer("targets", "show", "nano33ble", cwd=tmp_path).stdout
    assert "256 KiB RAM; 1 MiB flash" in shown
    assert "Product Reference Manual ABX00031" in shown
    (row,) = json.loads(answer("targets", "show", "my-roof", "--json", cwd=tmp_path).stdout)
    assert (row["id"], row["bundle"]) == ("roof", "linux-python")


@pytest.mark.parametrize(
    ("before", "after", "line", "told"),
    [
        (
            "bundle",
            'titel = "x"\nbundle',
            5,
            "titel: unknown key; did you mean 'title'?; allowed",
        ),
        ('machine = "riscv64"\n', "", None, "machine is missing"),
        ('version = "2.3.0"', 'version = "two"', 10, "runtimes[0].version: 'two' is not allowed"),
        ('version = "2.3.0"', "version = 2", 10, "runtimes[0].version: 2 is not a string"),
        ("[[runtimes]]", '[memory]\nram = "3 x"\n[[runtimes]]', 8, "write a number and one of B"),
        (
            "[[runtimes]]",
            '[memory]\nram = "1 kB"\nmodel_ram = "2 kB"\n[[runtimes]]',
            9,
            "a model may take more than the ram there is",
        ),
        ("[[runtimes]]", '[sources]\ncpuu = "x"\n[[runtimes]]', 8, "did you mean 'cpu'"),
        ("bundle", 'io = ["flot32"]\nbundle', 5, "did you mean 'float32'?; allowed: float32, "),
        (
            "bundle",
            'precisions = ["in8"]\nbundle',
            5,
            "unknown precision 'in8'; did you mean 'int8'",
        ),
        ('"my-roof"', '"pi4"', 2, "'pi4' is a name of edgekit's raspberry-pi-4"),
        (
            "[[runtimes]]",
            '[npu]\ncompiler = "ethos-u-vela"\naccelerator = "ethos-u55-129"\n[[runtimes]]',
            9,
            "vela has no 'ethos-u55-129'; did you mean 'ethos-u55-128'",
        ),
        (
            "[[runtimes]]",
            '[npu]\ncompiler = "vela"\naccelerator = "ethos-u55-128"\n[[runtimes]]',
            8,
            "edgekit has no compiler 'vela'",
        ),
        ('title = "A solar roof"', "title = ", 1, "it is not valid TOML"),
    ],
)
def test_validate_names_the_line_the_key_and_what_is_allowed(
    tmp_path: Path, before: str, after: str, line: int | None, told: str
) -> None:
    file = tmp_path / "roof.toml"
    file.write_text(MINE.replace(before, after, 1))
    found = problems(file)
    assert len(found) == 1
    assert found[0].line == line
    assert told in str(found[0])


def test_validate_ends_with_a_usage_error_where_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "roof.toml").write_text(MINE)
    good = answer("targets", "validate", "roof.toml", cwd=tmp_path)
    assert (good.returncode, good.stdout) == (0, "roof.toml: a target\n")
    (tmp_path / "wall.toml").write_text(MINE.replace("title", "titel"))
    both = answer("targets", "validate", ".", "--json", cwd=tmp_path)
    assert both.returncode == 2
    told: list[dict[str, Any]] = json.loads(both.stdout)
    assert [(row["file"], len(row["problems"])) for row in told] == [
        ("roof.toml", 0),
        ("wall.toml", 2),
    ]
    missing = answer("targets", "validate", "nowhere", cwd=tmp_path)
    assert (missing.returncode, "EK-PROJECT-070" in missing.stderr) == (2, True)


def test_every_shipped_file_is_valid() -> None:
    done = answer("targets", "validate", catalog.FOLDER, "--json", cwd=catalog.FOLDER)
    assert [row for row in json.loads(done.stdout) if row["problems"]] == []
