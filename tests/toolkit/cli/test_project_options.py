"""Options over a project file lose nothing that it says, and every example of the docs is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tflite_files import build, doubling

from conftest import answer
from edgekit.cli.project import project_of
from edgekit.pipeline.measure.bench_job import tables_of
from edgekit.project import WRITTEN, Project, Share

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
# How an entry of the catalog, the project file of a Python package, or what test_targets_page.py
# reads with the file that it names begins.
OTHERS = ("[conversion]", "title = ", "[build-system]", "[targets.solar-roof]")
COMMANDS = (("convert",), ("compress",), ("evaluate",), ("bench", "missing.keras"))
FLEET = """
[model]
source = "model.tflite"
[limits]
memory = "2 GB"
seconds = 60.5
[devices.pi4]
address = "shelf://board"
budgets = { latency_p50 = "5 ms", memory = "20 MB" }
time_limit = "10 min"
[targets.raspberry-pi-4.budgets]
size = "150 kB"
latency_p50 = "1.5 ms"
accuracy = { max_degradation = "1%" }
"""


def examples() -> list[object]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in pages
        for number, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
        if not block.startswith(OTHERS)
    ]


@pytest.mark.parametrize("block", examples())
def test_every_project_file_of_the_docs_is_read_by_every_command(
    block: str, tmp_path: Path
) -> None:
    source = '[model]\nsource = "missing.keras"\n'
    own = re.compile(r'^source = "model\.(?:py:build|tflite)"$', re.MULTILINE)
    if own.search(block):
        text = own.sub('source = "missing.keras"', block)
    else:
        text = block.replace("[model]\n", source, 1) if "[model]\n" in block else source + block
    (tmp_path / "edgekit.toml").write_text(text)
    for words in COMMANDS:
        if words == ("compress",) and "[compress" not in block:
            continue
        # Everything that the file says is read before the model is looked for.
        picked = ("--model", "small") if "[models.small]" in block else ()
        done = answer(*words, "--project", "edgekit.toml", *picked, cwd=tmp_path)
        assert (done.returncode, "EK-MODEL-001" in done.stderr) == (2, True), done.stderr


def test_options_leave_every_quantity_of_the_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "edgekit.toml"
    file.write_text(FLEET)
    project = project_of({"project_file": file, "model": None, "rescale": 0.5})
    wanted = Project.load(file)
    assert project.data.preprocess.scale == 0.5
    assert (project.devices, project.targets) == (wanted.devices, wanted.targets)
    assert project.limits == wanted.limits
    assert project.devices["pi4"].time_limit == 600.0
    goal = project.targets["raspberry-pi-4"].budgets.goal
    assert goal
    assert isinstance(goal.max_degradation, Share)


def test_what_a_job_takes_of_a_project_is_read_back_the_same(tmp_path: Path) -> None:
    file = tmp_path / "edgekit.toml"
    file.write_text(FLEET)
    project = Project.load(file)
    again = Project.parse(tables_of(project), tmp_path, context=WRITTEN)
    assert (again.limits, again.model) == (project.limits, project.model)


@pytest.mark.parametrize("memory", ["2000", "-5", "nan", "true", '"5 m"'])
def test_a_quantity_without_its_unit_is_no_quantity_in_a_file(tmp_path: Path, memory: str) -> None:
    (tmp_path / "edgekit.toml").write_text(FLEET.replace('"2 GB"', memory))
    done = answer("convert", cwd=tmp_path)
    assert done.returncode == 2
    assert "edgekit.toml, line 5: limits.memory: " in done.stderr


def test_devices_of_the_folder_are_found_where_a_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_text(FLEET.replace("shelf://board", "local"))
    (tmp_path / "model.tflite").write_bytes(build(doubling([1, 2])))
    words = ("bench", "model.tflite", "--device", "pi4", "--no-calibrate")
    brief = ("--min-seconds", "0", "--min-runs", "1", "--max-runs", "4", "--launches", "2")
    done = answer(*words, *brief, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"device": "pi4"' in done.stdout
    assert "this folder has edgekit.toml; only its [devices] are read" in done.stderr


def test_a_device_of_the_folder_that_is_wrong_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_text(FLEET.replace("time_limit", "timelimit"))
    (tmp_path / "model.tflite").write_bytes(build(doubling([1, 2])))
    done = answer("bench", "model.tflite", "--device", "pi4", cwd=tmp_path)
    assert done.returncode == 2
    said = "edgekit.toml, line 10: unknown key 'devices.pi4.timelimit'; did you mean 'time_limit'?"
    assert said in done.stderr
    assert "timelimit" not in answer("bench", "other", "--device", "local", cwd=tmp_path).stderr


def test_an_unknown_name_of_an_option_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_text(FLEET)
    done = answer("convert", "--precision", "int9", cwd=tmp_path)
    assert done.returncode == 2
    assert "error EK-PROJECT-004: unknown precision 'int9'; did you mean 'int8'?" in done.stderr
    done = answer("convert", "--target", "raspberry-pi-9", cwd=tmp_path)
    assert done.returncode == 2
    said = "error EK-PROJECT-003: targets: unknown target 'raspberry-pi-9'; did you mean"
    assert said in done.stderr
