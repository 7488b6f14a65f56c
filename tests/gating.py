"""Candidates with figures, and their verdict: what tests of the gate look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgekit import statistics
from edgekit.gate import Rules, judge_run
from edgekit.project import Budgets, TargetTable
from edgekit.types import (
    Candidate,
    Evaluation,
    Latency,
    Measurement,
    Memory,
    PairedCounts,
    RuntimeResult,
    Status,
    Verdict,
)

RULES = Rules(metric="accuracy", bounded=True, higher_is_better=True)
HOST = "linux-x86_64"
NPU = "cortex-m55-ethos-u55-128"
REFERENCE = Evaluation(metrics={"accuracy": Measurement(0.9, "1", n=1000, low=0.88, high=0.92)})


def candidate(
    precision: str = "int8", lost: int = 0, gained: int = 0, n: int = 1000, size: int = 1000
) -> Candidate:
    """A candidate that lost and gained so many of n items, with the interval of these counts."""
    interval = statistics.tango(lost, gained, n)
    drop = Measurement(interval.value, "1", n=n, low=interval.low, high=interval.high, level=0.95)
    accuracy = Measurement(0.9, "1", n=n, low=0.88, high=0.92, level=0.95)
    evaluation = Evaluation(
        metrics={"accuracy": accuracy},
        drop={"accuracy": drop},
        paired={"accuracy": PairedCounts(n, lost, gained)},
        runtimes=(
            RuntimeResult("litert", "2.3.0", Status.PASSED, "", n),
            RuntimeResult("tflite-runtime", "2.14.0", Status.PASSED, "", n),
        ),
    )
    return Candidate(precision, precision, Path("m.tflite"), "", size, size, evaluation=evaluation)


def judge(
    *candidates: Candidate,
    rules: Rules = RULES,
    budgets: Budgets | None = None,
    target: str = HOST,
    asked: bool = False,
    precision: str | None = None,
) -> tuple[str | None, Verdict]:
    """What the one target ships, and the verdict."""
    table = {target: TargetTable(precision=precision, budgets=budgets or Budgets())}
    _, (result,), verdict = judge_run(candidates, REFERENCE, table, rules, asked)
    return result.candidate, verdict


def on_tflm(arena: Measurement | None) -> Candidate:
    """A candidate that TFLM runs, with the arena that was measured."""
    one = candidate()
    ran = RuntimeResult("tflm", "0.dev1", Status.PASSED, "", 200)
    memory = Memory(Measurement(1e6, "byte"), arena) if arena else None
    return replace(one, evaluation=replace(one.evaluation, runtimes=(ran,), memory=memory))


FIGURES = ("p50", "p90", "p95", "p99", "mean", "min", "max", "mad", "std", "p5", "power")


def latency_of(one: Measurement) -> Latency:
    return Latency(**dict.fromkeys(FIGURES, one), launches=(1,), stopped="precision")
