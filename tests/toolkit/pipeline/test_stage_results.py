"""What is said beside a stage: never more than was done."""

from __future__ import annotations

import pytest

from edgekit.pipeline.stage_results import runtimes
from edgekit.types import Candidate, Evaluation, RuntimeResult, Status


def candidate(name: str, status: Status) -> Candidate:
    result = RuntimeResult("litert-web", "2.5.3", status, "as planted")
    return Candidate(name, name, evaluation=Evaluation(runtimes=(result,)))


@pytest.mark.parametrize(
    ("float32", "int8", "words"),
    [
        (Status.PASSED, Status.PASSED, "runs all"),
        (Status.UNAVAILABLE, Status.UNAVAILABLE, "not tried"),
        (Status.PASSED, Status.INCOMPATIBLE, "fails with int8"),
        (Status.UNAVAILABLE, Status.PASSED, "not tried with float32"),
    ],
)
def test_a_runtime_is_told_to_run_all_only_when_it_ran_all(
    float32: Status, int8: Status, words: str
) -> None:
    told = runtimes([candidate("float32", float32), candidate("int8", int8)])
    assert told == f"litert-web 2.5.3 {words}"
