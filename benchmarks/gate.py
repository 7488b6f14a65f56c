"""How often the gate is right: planted regressions, planted non-regressions, and chance.

python benchmarks/gate.py [--pipelines 200] [--alarms 1000]

Every pipeline draws its own items and times, makes their intervals by the functions of a run,
and is judged as a run is. Prints a row per scenario: how many pipelines were red by the check that
was meant, red by another, inconclusive, unavailable and green. Then the same of the lock's latency,
drawn from real runs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lock_latency
import numpy as np

from edgekit import statistics
from edgekit.evaluation.latency import noise_floor
from edgekit.gate import Rules, judge_run
from edgekit.project import Budgets, TargetTable
from edgekit.targets import catalog
from edgekit.types import (
    Candidate,
    Evaluation,
    Latency,
    Measurement,
    Memory,
    OnDevice,
    Operator,
    PairedCounts,
    Part,
    RuntimeNeed,
    RuntimeResult,
    Status,
    Verdict,
)

ITEMS, CLASSES = 2000, 4
RIGHT = 0.92
MILLISECONDS = 5.0
MICRO, BOARD = "cortex-m4", "raspberry-pi-4"
RULES = Rules("accuracy", bounded=True, higher_is_better=True, output="scores")


@dataclass(frozen=True)
class World:
    """What is true of a pipeline: the rates of items, the speed, and how noisy its host is."""

    lost: float = 0.004
    gained: float = 0.003
    speed: float = 1.0
    launch_noise: float = 0.01
    launches: int = 12
    bytes: int = 150_000
    operators: tuple[str, ...] = ("CONV_2D", "SOFTMAX")
    release: str = "2.14.0"
    arena: int = 65_536
    metric: str = "accuracy"


def limits() -> dict[str, Any]:
    """Return the budgets of the host's target."""
    return {
        "size": "150 kB",
        "accuracy": {"max_degradation": "0.5pt"},
        "flips": "3%",
        "operators": {"forbidden": ["GATHER"]},
        "minimum_runtime": "2.14",
        "latency_p50": f"{1.05 * MILLISECONDS} ms",
    }


def times(rng: np.random.Generator, world: World, median: float) -> list[list[Any]]:
    """Draw launches of blocks of times, in nanoseconds: a launch keeps its speed."""
    drawn = []
    for _ in range(world.launches):
        launch = rng.normal(0, world.launch_noise)
        blocks = []
        for _ in range(4):
            scale = launch + rng.normal(0, 0.004) + rng.normal(0, 0.02, 30)
            blocks.append(median * 1e6 * np.exp(scale))
        drawn.append(blocks)
    return drawn


def latency(rng: np.random.Generator, world: World) -> tuple[Latency, Measurement]:
    """Time the candidate and a twin of it, and the reference that takes twice as long."""
    own, twin, reference = (
        times(rng, world, MILLISECONDS * factor * world.speed) for factor in (1.0, 1.0, 2.0)
    )
    if world.speed != 1.0:
        reference = times(rng, world, 2 * MILLISECONDS)
    p50 = statistics.percentile_interval(own, 50, resamples=1000).measurement("ns", "launches")
    twins = statistics.launch_ratio(twin, own).measurement("1", "twins")
    ratio = statistics.launch_ratio(own, reference).measurement("1", "launches")
    counts = (120,) * world.launches
    noise = noise_floor(twins)
    return Latency(*[p50] * 10, counts, "decided", noise, noise), ratio


def share(hits: Any, n: int) -> Measurement:
    return statistics.wilson(int(hits), n).measurement("1", "Wilson")


def pipeline(rng: np.random.Generator, world: World) -> tuple[Candidate, Evaluation]:
    """Draw a run's items and times; its candidate, and the reference's figures."""
    classes = rng.integers(0, CLASSES, ITEMS)
    before = rng.random(ITEMS) < RIGHT
    chance = rng.random(ITEMS)
    after = np.where(before, chance >= world.lost / RIGHT, chance < world.gained / (1 - RIGHT))
    lost, gained = int((before & ~after).sum()), int((~before & after).sum())
    timed, ratio = latency(rng, world)
    arena = Measurement(float(world.arena), "byte")
    evaluation = Evaluation(
        metrics={world.metric: share(after.sum(), ITEMS)},
        drop={world.metric: statistics.tango(lost, gained, ITEMS).measurement("1", "Tango")},
        paired={world.metric: PairedCounts(ITEMS, lost, gained)},
        latency=timed,
        latency_ratio=ratio,
        memory=Memory(Measurement(1e6, "byte"), arena),
        runtimes=tuple(
            RuntimeResult(name, "1", Status.PASSED, "", ITEMS)
            for name in ("litert", "tflite-runtime", "tflm")
        ),
        parts=tuple(
            Part(k, f"class {k}", int(of.sum()), {"recall": share(after[of].sum(), int(of.sum()))})
            for k in range(CLASSES)
            if (of := classes == k).any()
        ),
        flips=share(lost + gained, ITEMS),
    )
    candidate = Candidate(
        "int8",
        "int8",
        Path("model.tflite"),
        bytes=world.bytes,
        operators=tuple(Operator(name, 1, 1) for name in world.operators),
        minimum_runtime=RuntimeNeed(world.release, "", world.operators[-1], ""),
        evaluation=evaluation,
    )
    return candidate, Evaluation(metrics={"accuracy": share(before.sum(), ITEMS)})


def judged(rng: np.random.Generator, world: World, budgets: Mapping[str, Any]) -> Verdict:
    """Judge one pipeline for this host, and for a microcontroller's arena."""
    candidate, reference = pipeline(rng, world)
    tables = {
        str(catalog.host()): TargetTable(budgets=Budgets.model_validate(budgets)),
        MICRO: TargetTable(budgets=Budgets.model_validate({"arena": "64 KiB"})),
    }
    return judge_run([candidate], reference, tables, RULES, False)[2]


def on_another_machine(rng: np.random.Generator, world: World, _: Mapping[str, Any]) -> Verdict:
    """Judge a board's budget by times of another machine than the board, here a slower one."""
    candidate, reference = pipeline(rng, world)
    budgets = Budgets.model_validate({"latency_p50": f"{1.05 * MILLISECONDS} ms"})
    tables = {BOARD: TargetTable(budgets=budgets, device="ssh://pi@board")}
    facts = {"system": "Linux", "machine": "x86_64"}
    latency = candidate.evaluation.latency
    there = OnDevice(
        "int8", "ssh://pi@board", "litert", "1", Status.PASSED, "", 8, 0.0, latency, "", facts
    )
    run = ([candidate], reference, tables, RULES, False, None, {BOARD: [there]})
    return judge_run(*run)[2]


Judge = Callable[[np.random.Generator, World, Mapping[str, Any]], Verdict]
REGRESSIONS: tuple[tuple[str, str, World], ...] = (
    ("one byte over the budget", "size", World(bytes=150_001)),
    ("2 points lost", "accuracy drop", World(lost=0.023, gained=0.003)),
    ("a forbidden operator", "allowed operators", World(operators=("CONV_2D", "GATHER"))),
    ("a release later", "minimum runtime", World(release="2.15.0")),
    ("64 bytes more arena", "arena", World(arena=65_600)),
    ("10 % slower", "latency_p50", World(speed=1.1)),
    ("the metric is missing", "accuracy", World(metric="f1")),
)
OTHERWISE_ALIKE: tuple[tuple[str, World, Judge], ...] = (
    ("other items, times drawn anew", World(), judged),
    ("a host five times as noisy", World(launch_noise=0.05), judged),
    ("another machine, 20 % slower", World(speed=1.2), on_another_machine),
)


def outcome(verdict: Verdict, meant: str) -> str:
    """Name how a pipeline ended."""
    red = {check.name for check in verdict.checks if check.status is Status.FAILED}
    if red:
        return "red" if meant in red else "red by another"
    return {0: "green", 3: "unavailable", 4: "inconclusive"}.get(verdict.exit_code, "other")


def run(count: int, world: World, meant: str, judge: Judge) -> Counter[str]:
    return Counter(
        outcome(judge(np.random.default_rng(seed), world, limits()), meant) for seed in range(count)
    )


def alarms(count: int, worse: float = 0.0) -> tuple[int, int, int]:
    """Count pipelines with eight budgets exactly at what is true, or ``worse`` by a share of it.

    Returns how many are red, how many would be if each check stood alone, and the budgets.
    """
    world = World(lost=0.02, gained=0.01, launches=12)
    right = RIGHT - world.lost + world.gained
    budgets = {
        "accuracy": {"max_degradation": (world.lost - world.gained) / (1 + worse)},
        "flips": (world.lost + world.gained) / (1 + worse),
        "classes": {"default": right * (1 + 0.1 * worse)},
        "latency_p50": f"{MILLISECONDS / (1 + 0.1 * worse):.6f} ms",
        "latency": {
            "percent_min_improvement": 100 * (1 - 0.5 / (1 + 0.1 * worse)),
            "against": "reference",
        },
    }
    together = alone = 0
    for seed in range(count):
        verdict = judged(np.random.default_rng(seed), world, budgets)
        together += any(check.status is Status.FAILED for check in verdict.checks)
        alone += any(
            check.status is Status.FAILED or "by itself" in check.message
            for check in verdict.checks
        )
    return together, alone, 4 + CLASSES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipelines", type=int, default=200)
    parser.add_argument("--alarms", type=int, default=1000)
    options = parser.parse_args()
    columns = ("red", "red by another", "inconclusive", "unavailable", "green")
    print(f"| {options.pipelines} pipelines each | {' | '.join(columns)} |")
    print("| --- |" + " --- |" * len(columns))
    for name, meant, world in REGRESSIONS:
        found = run(options.pipelines, world, meant, judged)
        print(f"| {name} | {' | '.join(str(found[column]) for column in columns)} |", flush=True)
    for name, world, judge in OTHERWISE_ALIKE:
        found = run(options.pipelines, world, "nothing", judge)
        print(f"| {name} | {' | '.join(str(found[column]) for column in columns)} |", flush=True)
    for worse in (0.0, 0.5):
        together, alone, budgets = alarms(options.alarms, worse)
        what = "exactly at their limits" if worse == 0 else f"worse by {worse:.0%}"
        print(f"{budgets} budgets {what}: {together} of {options.alarms} pipelines red,", end=" ")
        print(f"{alone} if each were judged alone")

    print()
    for line in (*lock_latency.spread(), "", *lock_latency.table(options.pipelines)):
        print(line)


if __name__ == "__main__":
    main()
