"""Accuracy brought back from int8: the command, its bounds, and when there is nothing to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import recovering

from conftest import answer, brief, once
from edgekit.errors import ProjectError
from edgekit.pipeline import Options
from edgekit.pipeline.make import candidates, export, obtain
from edgekit.pipeline.plan import Plan
from edgekit.pipeline.recover import recover
from edgekit.pipeline.run import Run
from edgekit.pipeline.selection import select_items
from edgekit.project import Project
from edgekit.types import Advice, Candidate

CASTS = {"QUANTIZE", "DEQUANTIZE"}


@pytest.fixture(scope="session")
def networks(shared: Path) -> Path:
    return once(shared / "recovery-networks", recovering.networks)


def arguments(networks: Path, kind: str) -> list[object]:
    return [
        "convert",
        networks / f"{kind}.keras",
        "--data",
        networks / "test.npz",
        "--representative",
        networks / "train.npz",
        "--rescale",
        "1/16",
        "--precision",
        "int8",
        "--max-drop",
        "0.01",
        "--recover",
        "--json",
    ]


@pytest.fixture(scope="session")
def recovered(shared: Path, networks: Path) -> Path:
    """A folder after `convert --recover` of the network with a shared outlier, twice."""

    def make(folder: Path) -> None:
        for name in ("first", "second"):
            done = brief(*arguments(networks, "shared"), cwd=folder)
            assert done.returncode == 0, done.stderr
            (folder / f"{name}.json").write_text(done.stdout)

    return once(shared / "recovered", make)


class Heard:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def stage(self, name: str) -> None:
        self.texts.append(name)

    def update(self, done: float, total: float, text: str) -> None:
        self.texts.append(text)


def outcome(
    networks: Path, kind: str, output: Path, max_drop: float, evaluations: int = 24
) -> tuple[tuple[Candidate, ...], list[Advice], list[str]]:
    """The candidates, the advice and the progress of a run up to the recovery."""
    table = {
        "model": {"source": str(networks / f"{kind}.keras")},
        "data": {
            "evaluate": str(networks / "test.npz"),
            "representative": {"from": str(networks / "train.npz")},
            "preprocess": {"scale": "1/16"},
        },
        "convert": {"precisions": ["int8"], "recover": {"evaluations": evaluations}},
    }
    project = Project.parse(table, networks)
    heard = Heard()
    options = Options(output=output, max_drop=max_drop, precisions_asked=True)
    with Run(Plan.of(project, options), heard) as run:
        reference = export(run, obtain(run))
        items = select_items(run, reference)
        made = candidates(run, reference, items)
        found = recover(run, reference, reference, made, items)
        return found, list(run._advice), heard.texts


@pytest.mark.slow
def test_recovery_brings_back_nine_tenths_with_a_tenth_of_the_operators(recovered: Path) -> None:
    report = json.loads((recovered / "first.json").read_text())
    found = {candidate["id"]: candidate for candidate in report["candidates"]}
    assert found["int8"]["status"] == "failed"
    assert found["mixed"]["status"] == "passed"
    assert found["mixed"]["precision"] == "mixed"
    assert report["verdict"]["status"] == "passed"
    lost, left = (found[name]["drop"]["accuracy"]["value"] for name in ("int8", "mixed"))
    assert lost > 0.05
    assert lost - left >= 0.9 * lost
    # Counted from the file that ships, not from what the search says of it.
    counts = {operator["name"]: operator["count"] for operator in found["mixed"]["operators"]}
    computing = sum(count for name, count in counts.items() if name not in CASTS)
    in_float = [one for one in found["mixed"]["float_operators"] if one.split(" ")[0] not in CASTS]
    assert computing >= 30
    assert 0 < len(in_float) <= 0.1 * computing
    assert found["mixed"]["recovery"]["float_operators"] == in_float
    assert found["mixed"]["recovery"]["evaluations"] <= 24
    assert found["mixed"]["recovery"]["sentence"].startswith(
        f"{len(in_float)} of {computing} operators in float: drop {lost * 100:.1f} → "
    )


@pytest.mark.slow
def test_second_recovery_does_nothing_again(recovered: Path) -> None:
    report = json.loads((recovered / "second.json").read_text())
    stages = {stage["name"]: stage["cached"] for stage in report["stages"]}
    assert stages["recover"]
    assert stages["evaluate"]
    assert stages["latency"]


@pytest.mark.slow
def test_check_of_a_recovered_run_passes_for_int8_too(recovered: Path) -> None:
    assert answer("check", "--precision", "int8", cwd=recovered).returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker")
def test_evaluations_are_bounded_and_told(networks: Path, recovered: Path) -> None:
    found, _, heard = outcome(networks, "shared", recovered, 0.01, evaluations=4)
    told = [text for text in heard if text.startswith("evaluation ")]
    assert len(told) == 4
    assert told[-1].startswith("evaluation 4 of at most 4: 1 of 39 in float, drop ")
    assert found[-1].recovery is None or found[-1].recovery.outcome == "not recovered"


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker")
def test_budget_that_cannot_be_met_gives_the_best_and_says_so(
    networks: Path, recovered: Path
) -> None:
    found, _, _ = outcome(networks, "shared", recovered, -0.2, evaluations=7)
    recovery = found[-1].recovery
    assert recovery is not None
    assert recovery.outcome == "not recovered"
    assert recovery.drop_after.value is not None
    assert recovery.drop_after.value < 0.02
    assert recovery.evaluations == 7


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker")
def test_int8_within_its_budget_is_not_searched(networks: Path, recovered: Path) -> None:
    found, advice, heard = outcome(networks, "shared", recovered, 0.95)
    assert [candidate.id for candidate in found] == ["int8"]
    assert "EK-NOTE-021" in [one.code for one in advice]
    assert not any(text.startswith("evaluation ") for text in heard)


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker")
def test_equalising_recovers_what_one_layer_reads_without_a_float_operator(
    networks: Path, tmp_path: Path
) -> None:
    found, _, _ = outcome(networks, "single", tmp_path, 0.01)
    recovery = found[-1].recovery
    assert recovery is not None
    assert recovery.succeeded
    assert recovery.float_operators == ()
    assert recovery.equalized > 0
    assert recovery.evaluations == 3


def test_recovery_needs_int8_and_an_evaluation(tmp_path: Path, digits: Path, models: Path) -> None:
    def plan(evaluate: bool = True, **convert: Any) -> Plan:
        table = {
            "model": {"source": str(models / "keras3.keras")},
            "data": {"evaluate": str(digits / "test.npz")},
            "convert": {**convert, "recover": True},
        }
        return Plan.of(Project.parse(table, tmp_path), Options(evaluate=evaluate))

    assert plan().project.convert.recover is not None
    with pytest.raises(ProjectError, match="--recover requires --precision int8"):
        plan(precisions=["float32"])
    with pytest.raises(ProjectError, match="--recover excludes --no-evaluate"):
        plan(evaluate=False)


@pytest.mark.parametrize(
    ("value", "evaluations"),
    [(True, 24), (False, None), ({"evaluations": 5}, 5), ({}, 24)],
)
def test_recovery_is_switched_on_or_given_a_bound(value: object, evaluations: int | None) -> None:
    table = {"model": {"source": "m.keras"}, "convert": {"recover": value}}
    found = Project.parse(table, Path()).convert.recover
    assert (found.evaluations if found else None) == evaluations


@pytest.mark.parametrize("value", [{"evaluations": 0}, {"evalutions": 3}, "yes"])
def test_recovery_refuses_a_wrong_setting(value: object) -> None:
    table = {"model": {"source": "m.keras"}, "convert": {"recover": value}}
    with pytest.raises(ProjectError):
        Project.parse(table, Path())
