"""Budgets as a project file writes them: what is one thing, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import answer
from edgekit import Project, convert
from edgekit.errors import ProjectError
from edgekit.pipeline import Options
from edgekit.pipeline.plan import Plan
from edgekit.project import WRITTEN, Budgets
from edgekit.targets import catalog

HEAD = """[model]
source = "m.keras"
[data]
evaluate = "d.npz"
[targets.cortex-m4.budgets]
"""


def load(tmp_path: Path, text: str) -> Project:
    (tmp_path / "edgekit.toml").write_text(HEAD + text)
    return Project.load(tmp_path / "edgekit.toml")


@pytest.mark.parametrize("text", ["0.01", '"0.01"', '"1%"', '"1 pt"', '"1 point"'])
def test_percent_points_and_fractions_are_one_thing(tmp_path: Path, text: str) -> None:
    project = load(tmp_path, f"f1 = {{ max_degradation = {text} }}\nflips = 0.01")
    budgets = project.targets["cortex-m4"].budgets
    assert budgets.metrics["f1"].max_degradation == pytest.approx(0.01)
    assert budgets.flips == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('siez = "1 kB"', "did you mean 'size'?"),
        ("accuracy = { treshold = 0.9 }", "did you mean 'threshold'?"),
        ("f1 = { max_degradaton = 0.1 }", "did you mean 'max_degradation'?"),
        ("flips = 1", "write 1%"),
        ("flips = 0.8", "write 0.8% or 80%"),
        ("sparsity = 50", "write 50%"),
        ("classes = { cat = 90 }", "write 90% for 0.9"),
        ('minimum_runtime = "new"', "minimum_runtime"),
        ("minimum_runtime = 2.14", "minimum_runtime"),
        ("latency = { }", "say percent_max_degradation"),
        ('latency = { percent_max_degradation = 5, against = "last" }', "lock"),
        ("latency = { percent_max_degradation = -5 }", "greater than or equal to 0"),
        ("accuracy = { percent_max_degradation = nan }", "finite"),
        ("operators = { }", "say allowed"),
        ("parity = { }", "say sqnr"),
        ('macs = "4 MB"', "write a number and one of k, M, G"),
        ("peak_memory = 100", "write a number and one of"),
    ],
)
def test_wrong_budget_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ProjectError) as error:
        load(tmp_path, text)
    assert said in f"{error.value.message} {error.value.hint}"
    assert "edgekit.toml" in error.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latncy = { percent_max_degradation = 5 }", "did you mean 'latency'?"),
        ("f1x = { threshold = 0.5 }", "did you mean 'f1'?"),
        ("f1 = { max_degradation = 1 }", "is it 100 points or 1 point?"),
        ('operators = { forbidden = ["CONV2D"] }', "did you mean 'CONV_2D'?"),
        ('operators = { allowed = ["conv_2d"] }', "did you mean 'CONV_2D'?"),
        ('[candidates.int9.budgets]\nsize = "1 kB"', "did you mean 'int8'?"),
    ],
)
def test_unknown_name_in_a_budget_ends_the_run_before_it_starts(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ProjectError) as error:
        Plan.of(load(tmp_path, text), Options())
    assert said in f"{error.value.message} {error.value.hint}"


@pytest.mark.parametrize(
    "table",
    [
        {"f1": {"percent_min_improvement": 3}, "flips": "80%", "sparsity": "50%"},
        {"latency_p50": "5 ms", "peak_memory": "1 MiB", "macs": "4.5 M", "classes": {"a": "9%"}},
    ],
)
def test_budgets_are_read_from_a_report_as_they_were_written(table: dict[str, Any]) -> None:
    budgets = Budgets.model_validate(table)
    kept = budgets.model_dump(mode="json", exclude_none=True)
    assert Budgets.model_validate(json.loads(json.dumps(kept)), context=WRITTEN) == budgets


@pytest.mark.usefixtures("untimed")
def test_budgets_gate_from_the_project_file_to_the_exit_code(
    tmp_path: Path, digits_run: Path, digits: Path
) -> None:
    """The whole way once, with a file as it is; the planted fault is one of its operators."""
    file = digits_run / "project/build/digits/int8/model.tflite"
    budgets = {
        "compressed_size": "1 MB",
        "delta_size": "100 B",
        "operators": {"forbidden": ["SOFTMAX"]},
        "minimum_runtime": "2.30",
        "macs": "1 G",
        "sparsity": 0.0,
        "classes": {"default": 0.5},
        "peak_memory": "4 GB",
    }
    table = {
        "model": {"source": str(file)},
        "data": {"evaluate": str(digits / "test.npz"), "preprocess": {"scale": 1 / 16}},
        "convert": {"as_is": True},
        "bundle": {"delta_from": str(file)},
        "targets": {str(catalog.host()): {"budgets": budgets}},
        "candidates": {"int8": {"budgets": {"size": "1 B"}}},
    }
    made = convert(Project.parse(table, tmp_path), Options())
    red = {check.name for check in made.verdict.checks if check.status.value == "failed"}
    assert (red, made.verdict.exit_code) == ({"allowed operators", "size"}, 1)
    limited = {check.name for check in made.verdict.checks if check.limit}
    assert {"delta size", "multiply-accumulates", "recall of 3", "peak memory"} <= limited
    folder = tmp_path / ".edgekit/runs" / made.run
    again = answer("check", folder, "--json", cwd=tmp_path)
    assert again.returncode == 1
    assert [c["name"] for c in json.loads(again.stdout)["verdict"]["checks"]] == [
        check.name for check in made.verdict.checks
    ]
