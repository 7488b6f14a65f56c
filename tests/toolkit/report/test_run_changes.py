"""Two runs side by side: what is better, what is proven, and what only looks so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import detailing
import pytest
import ratchet
from rendered import ReadPage

from conftest import answer
from edgekit.report import changes, charts
from edgekit.report import details as details_file
from edgekit.report.changes import FigureChange, layer_deltas
from edgekit.report.document import from_json
from edgekit.types.details import CandidateDetails, Details, FileSizes, TensorSize


def folder(root: Path, name: str, document: dict[str, Any], details: Details | None = None) -> Path:
    """A run's folder below a project's."""
    made = root / ".edgekit" / "runs" / name
    made.mkdir(parents=True)
    document["run"] = name
    (made / "report.json").write_text(json.dumps(document))
    if details is not None:
        details_file.write(details, made)
    return made


def edited(**int8: Any) -> dict[str, Any]:
    document = ratchet.document()
    ratchet.int8(document).update(int8)
    return document


def figures(before: dict[str, Any], now: dict[str, Any]) -> dict[str, FigureChange]:
    found = changes.changes(from_json(before), from_json(now))
    (int8,) = found.candidates
    (target,) = found.targets
    assert [f.figure for f in target.figures] == [f.figure for f in int8.figures]
    return {figure.figure: figure for figure in int8.figures}


def test_runs_that_are_the_same_have_nothing_better_or_worse() -> None:
    document = ratchet.document()
    found = changes.changes(from_json(document), from_json(document))
    assert {f.outcome for c in found.candidates for f in c.figures} == {"same", "not proven"}
    assert found.settings == ()
    assert found.candidates[0].operators == ()


@pytest.mark.parametrize(
    ("right", "lost", "gained", "outcome", "arrow", "change"),
    [
        (1800, 110, 10, "worse", "↓", "-5 points"),
        (1990, 0, 90, "better", "↑", "+4.5 points"),
        (1899, 2, 1, "not proven", "≈", "-0.05 points"),
    ],
)
def test_a_metric_is_worse_or_better_only_where_that_is_proven(
    right: int, lost: int, gained: int, outcome: str, arrow: str, change: str
) -> None:
    now = edited(**ratchet.accuracy(right, lost, gained), semantic_hash="c" * 64)
    found = figures(ratchet.document(), now)["accuracy"]
    assert (found.outcome, found.arrow, found.change) == (outcome, arrow, change)
    assert found.how == "the same items, paired through the reference that judged both"
    assert found.interval.startswith("[")


@pytest.mark.parametrize(
    ("ratio", "outcome"), [(1.2, "worse"), (0.2, "better"), (0.6, "not proven")]
)
def test_a_latency_is_compared_by_its_ratio_to_the_reference(ratio: float, outcome: str) -> None:
    slower = ratchet.measured(ratio, 0.99 * ratio, 1.01 * ratio, n=6)
    before, now = ratchet.document(), edited(latency_ratio=slower, semantic_hash="c" * 64)
    for document in (before, now):
        document["reference"]["runtime"] = "litert"
    found = figures(before, now)["latency on local"]
    assert found.outcome == outcome
    assert found.texts[1].endswith(f"(x{ratio:.3g})")
    # The same network is neither: what its time differs by is of the host.
    now["candidates"][0]["semantic_hash"] = before["candidates"][0]["semantic_hash"]
    again = figures(before, now)["latency on local"]
    assert (again.outcome, again.how) == ("not proven", "the same network on the same runtime")


def test_bytes_and_operators_are_facts() -> None:
    operators = [
        {"name": "CONV_2D", "version": 3, "count": 2},
        {"name": "GELU", "version": 1, "count": 1},
    ]
    now = edited(bytes=30_000, operators=operators)
    size = figures(ratchet.document(), now)["size"]
    assert (size.texts, size.change) == (("27,736 B", "30,000 B"), "+2,264 B (+8.2 %)")
    assert (size.outcome, size.arrow) == ("worse", "↑")
    found = changes.changes(from_json(ratchet.document()), from_json(now))
    said = {change.name: change.text for change in found.candidates[0].operators}
    assert said["GELU"] == "x1 version 1 came"
    assert "went" in said["SOFTMAX"]


def test_settings_that_differ_are_named_by_their_path() -> None:
    now = ratchet.document()
    now["settings"]["seeds"]["training"] = 7
    now["environment"]["packages"]["tensorflow"] = "2.22.0"
    found = changes.changes(from_json(ratchet.document()), from_json(now))
    assert {one.name: one.now for one in found.settings} == {
        "settings.seeds.training": "7",
        "environment.packages.tensorflow": "2.22.0",
    }


def test_layers_are_set_side_by_side_by_name() -> None:
    def sizes(kernel: int) -> CandidateDetails:
        tensor = TensorSize("a", "CONV_2D", "kernel", "INT8", (3, 3), kernel)
        same = TensorSize("b", "CONV_2D", "kernel", "INT8", (3, 3), 50)
        return CandidateDetails(sizes=FileSizes(kernel + 70, (tensor, same), {"structure": 20}))

    found = layer_deltas(sizes(500), sizes(300))
    assert [(row.layer, row.difference) for row in found.rows] == [("a", -200)]
    assert found.same == 2
    assert layer_deltas(sizes(500), None).reason == "this run kept no sizes of it"


def test_the_overlay_says_where_what_ships_went() -> None:
    now = edited(bytes=20_000)
    sides = [charts.run_of(from_json(one)) for one in (ratchet.document(), now)]
    chart = charts.overlay(*sides)
    assert isinstance(chart, charts.Overlay)
    assert chart.text == "int8 went from 27.7 kB, 95.00 % to 20.0 kB, 95.00 %."


def test_compare_writes_one_page_with_the_gate_s_own_verdict(tmp_path: Path) -> None:
    attack = "</script><img src=x>"
    later = edited(**ratchet.accuracy(1800, 110, 10), semantic_hash="c" * 64)
    later["model"]["version"] = attack
    folder(tmp_path, "a", ratchet.document(), detailing.details())
    folder(tmp_path, "b", later, detailing.details())
    done = answer("report", "--compare", "a", "b", "-o", "page.html", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "report page.html\n"), done.stderr
    page = ReadPage((tmp_path / "page.html").read_text())
    seen = " ".join(page.visible.split())
    assert "✕ failed baseline accuracy" in seen
    assert "-5 points[-" in seen
    assert "Ships int8 as before." in seen
    assert attack in page.visible
    assert "img" not in [tag for tag, _ in page.elements]
    assert page.data["charts"]["overlay"]["points"][0]["model"] == "int8"


def test_runs_of_two_models_are_refused_with_the_command_for_them(tmp_path: Path) -> None:
    other = ratchet.document()
    other["model"]["name"] = "words"
    folder(tmp_path, "a", other)
    folder(tmp_path, "b", ratchet.document())
    done = answer("report", "--compare", "a", "b", cwd=tmp_path)
    assert done.returncode == 2
    assert "error EK-LOCK-008" in done.stderr
    assert "edgekit compare A B" in done.stderr
