"""Charts as pictures: the same bytes every time, and an error where nothing can draw them."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as Xml
from pathlib import Path

import charting
import numpy as np
import pytest
from PIL import Image

from conftest import answer
from edgekit.report import charts, plots

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("matplotlib", "tensorflow"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
from edgekit.cli import main
main(sys.argv[1:])
"""
NAMES = ("pareto", "budgets", "candidates", "latency", "training", "sizes-int8", "layers-int8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of a run in which every chart has something to draw."""
    made = tmp_path_factory.mktemp("plots")
    run = charting.full()
    plots.write(charts.of_run(run, run.shipped), made)
    return made


def test_every_chart_is_an_svg_and_a_png_with_its_sentence(folder: Path) -> None:
    captions = (folder / plots.CAPTIONS).read_text()
    for name in (*NAMES, "confusion-int8", "reliability-int8"):
        svg = Xml.fromstring((folder / f"{name}.svg").read_text())  # noqa: S314
        said = "".join(svg.itertext())
        picture = Image.open(folder / f"{name}.png")
        assert picture.width > 800
        assert picture.info["Description"] in captions
        assert picture.info["Description"] in said


def test_the_same_charts_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    every = charts.of_run(charting.full(), ())
    few = {name: every[name] for name in ("pareto", "latency")}
    for written in plots.write(few, tmp_path).drawn:
        for ending in ("svg", "png"):
            name = f"{written}.{ending}"
            assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_dominated_candidate_is_grey_and_one_that_ships_is_not(folder: Path) -> None:
    svg = (folder / "pareto.svg").read_text()
    run = charting.run(charting.model("int8", 27_736, 0.976, 0.0, ships=("a",)))
    alone = charts.of_run(run, ())["pareto"]
    plots.write({"pareto": alone}, folder / "alone")
    undominated = (folder / "alone" / "pareto.svg").read_text()
    ring = "stroke: #767676; stroke-width: 1.6"
    assert svg.count(ring) >= 2
    assert ring not in undominated
    blue = np.all(np.asarray(Image.open(folder / "pareto.png").convert("RGB")) == (0, 114, 178), -1)
    assert blue.sum() > 200


def test_what_is_not_drawn_is_told_with_the_reason(tmp_path: Path) -> None:
    run = charting.run(charting.model("int8", 27_736, 0.976, 0.0))
    absent = {"latency": charts.latency(run)}
    done = plots.write(absent, tmp_path)
    assert done.missing == (("Latency distribution", "no latency was measured"),)
    assert "- Latency distribution: no latency was measured" in (
        (tmp_path / plots.CAPTIONS).read_text()
    )


def test_names_of_models_are_no_paths(tmp_path: Path) -> None:
    chart = charts.budgets(charting.full())
    named = {f"sizes of {name}": chart for name in ("../../a/b.tflite on local", "a b", "a/b")}
    drawn = plots.write(named, tmp_path).drawn
    assert drawn == ("sizes-..-..-a-b.tflite-on-local", "sizes-a-b", "sizes-a-b-2")
    assert {file.parent for file in tmp_path.rglob("*.svg")} == {tmp_path}


def test_without_matplotlib_no_work_is_done(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BLOCKER, "convert", "no.keras", "--plots", "plots"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error EK-PLOTS-001: plots need matplotlib" in done.stderr
    assert "pip install 'edgekit[plots]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plots").write_text("")
    done = answer("convert", "no.keras", "--plots", "plots", cwd=tmp_path)
    assert done.returncode == 2
    assert "'plots' is a file" in done.stderr
