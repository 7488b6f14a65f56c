"""Two runs on the same items are compared item by item, where both left which are right."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ratchet import HOST, ITEMS, Workshop, accuracy, int8

from edgekit.report import details, document
from edgekit.report.changes import changes
from edgekit.types.details import CandidateDetails, Details


def retrained(report: Any) -> None:
    """Another network, with another reference, that has 20 of 2,000 items less right."""
    int8(report).update(accuracy(1880, 0), semantic_hash="c" * 64)
    report["reference"] |= {**accuracy(1880, 0), "digest": "d" * 64}


def leave_items(run: Path, wrong: set[int]) -> None:
    """Leave beside a report which items its model has right, as a run does."""
    bits = sum(1 << (ITEMS - 1 - item) for item in range(ITEMS) if item not in wrong)
    right = base64.b64encode(bits.to_bytes(ITEMS // 8, "big")).decode()
    kept = Details(run.name, "convert", "", candidates={"int8": CandidateDetails(right=right)})
    details.write(kept, run)


def test_retrained_models_are_paired_item_by_item_where_both_runs_say_which_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.targets.catalog.host", lambda: HOST)
    workshop = Workshop(tmp_path)
    workshop.project()
    first, second = workshop.convert(), workshop.convert(retrained)
    code, text = workshop.edgekit("check", "--baseline", first, "-v")
    assert (code, "not paired" in text) == (4, True), text
    leave_items(first, set(range(100)))
    leave_items(second, set(range(5, 125)))
    code, text = workshop.edgekit("check", "--baseline", first, "-v")
    assert (code, "the same items, paired" in text, "1 point" in text) == (1, True, True), text
    page = changes(*map(document.read, (first, second)), *map(details.read, (first, second)))
    (figure,) = [one for one in page.targets[0].figures if one.figure == "accuracy"]
    assert (figure.outcome, figure.how) == ("worse", "the same items, paired")
    # As many as the report says, or no evidence.
    leave_items(second, set(range(5, 100)))
    assert workshop.edgekit("check", "--baseline", first)[0] == 4
