"""What a recovery leaves in the report, and what it says."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from edgekit.gate import Rules
from edgekit.pipeline.recover import sentence
from edgekit.report import document, summary
from edgekit.report.recovery import recovery_lines
from edgekit.types import Measurement, Recovery, RecoveryTrial

RULES = Rules(metric="accuracy", bounded=True, higher_is_better=True)
BEFORE, AFTER = Measurement(0.031, "1", n=1000), Measurement(0.006, "1", n=1000)
RECOVERY = Recovery(
    stands_for="int8",
    outcome="recovered",
    evaluations=9,
    allowed=24,
    seconds=12.4,
    operators=31,
    float_operators=("CONV_2D (a)", "ADD (b)"),
    equalized=0,
    bias_corrected=0,
    drop_before=BEFORE,
    drop_after=AFTER,
    bytes_before=30_000,
    bytes_after=41_000,
    latency_ratio=Measurement(1.08, "ratio", n=3),
    sentence="2 of 31 operators in float",
    trials=(RecoveryTrial(2, False, True, AFTER),),
)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {},
            "2 of 31 operators in float: drop 3.1 → 0.6 points, +11 kB, 1.08 times the latency",
        ),
        (
            {"float_operators": (), "equalized": 11, "bias_corrected": 24, "bytes_after": 30_400},
            "0 of 31 operators in float, 11 pairs of layers equalised, biases of 24 layers"
            " corrected: drop 3.1 → 0.6 points, +0.4 kB, 1.08 times the latency",
        ),
        (
            {"outcome": "not proven"},
            "2 of 31 operators in float: drop 3.1 → 0.6 points, +11 kB, 1.08 times the latency;"
            " not proven on 1,000 items",
        ),
        (
            {
                "outcome": "not recovered",
                "latency_ratio": Measurement.unavailable("ratio", "nothing was timed"),
            },
            "2 of 31 operators in float: drop 3.1 → 0.6 points, +11 kB, latency unavailable,"
            " because nothing was timed; the budget is not reached",
        ),
    ],
)
def test_sentence_says_what_it_took_and_what_it_costs(changes: dict[str, Any], says: str) -> None:
    assert sentence(replace(RECOVERY, **changes), RULES) == says


def test_sentence_has_no_points_when_the_metric_is_unbounded() -> None:
    assert "drop 0.031 → 0.006, " in sentence(RECOVERY, replace(RULES, bounded=False))


def test_lines_name_the_float_operators_and_the_bound_of_the_search() -> None:
    lines = [line for line, _ in recovery_lines("mixed", RECOVERY)]
    assert lines == [
        "mixed: 2 of 31 operators in float",
        "  in float: CONV_2D (a)",
        "  in float: ADD (b)",
        "  replaces int8; 9 evaluations of at most 24, 12 s",
    ]


def test_recovery_fits_the_schema_and_survives_the_way_to_json_and_back(
    digits_report: Any,
) -> None:
    told = copy.deepcopy(digits_report)
    plain = document.from_json(told)
    first, *others = plain.candidates
    mixed = replace(first, id="mixed", precision="mixed", recovery=RECOVERY)
    report = replace(plain, candidates=(first, *others, mixed))
    written = document.to_json(report)
    jsonschema.validate(written, json.loads(document.SCHEMA.read_text()))
    assert document.from_json(written).candidates[-1].recovery == RECOVERY
    assert "mixed: 2 of 31 operators in float" in summary(report)
    assert "see mixed" in summary(report)
