"""How often the lock's latency is right, by real runs: a run is locked, another is held against it.

Every pipeline draws two of the runs of one file that between_runs.py has measured, of one model and
reference, and judges them as a check does. In a planted fault the second one is slower.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.gate.lock import LockedLatency, LockEntry, Tag
from edgekit.gate.lock.latency import latency_check
from edgekit.types import Measurement

RUNS = Path(__file__).with_name("between_runs.jsonl")
# What a lock's latency was held to before: the intervals of the two runs' ratios, and no more.
OLD = "the old rule"
FEWEST = 6
Run = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """What is changed, and by what evidence it is judged."""

    name: str
    times: float = 1.0
    same_network: bool = False
    beside: bool = False
    same_machine: bool = False


CASES = (
    Case("no change: the same network", same_network=True),
    Case("no change: another network, the lock's file beside it", beside=True),
    Case("no change: another network, two runs on one machine", same_machine=True),
    Case("no change: another network, two machines"),
    Case("10 % slower, the lock's file beside it", 1.1, beside=True),
    Case("10 % slower, two runs on one machine", 1.1, same_machine=True),
    Case("three times as slow, two runs on one machine", 3.0, same_machine=True),
)


def runs() -> dict[tuple[str, str], list[Run]]:
    """Return the measured runs by model and reference."""
    found: dict[tuple[str, str], list[Run]] = {}
    for line in RUNS.read_text().splitlines():
        run = json.loads(line)
        found.setdefault((run["model"], run["reference"]), []).append(run)
    return found


def interval(run: Run, name: str, times: float, unit: str) -> Measurement:
    value, low, high = (times * end for end in run[name])
    return Measurement(value, unit, n=run["launches"], low=low, high=high, level=0.95)


def entry(run: Run, case: Case, digest: str, network: str, times: float = 1.0) -> LockEntry:
    """Return what a run leaves in a lock, ``times`` as slow as it was."""
    p50, ratio = interval(run, "p50", times, "ns"), interval(run, "ratio", times, "1")
    beside = {"locked": interval(run, "beside", times, "1")} if case.beside else {}
    cpu = "one" if case.same_machine else digest
    latency = LockedLatency(
        "local",
        {"cpu": cpu},
        p50,
        p50,
        ratio,
        Measurement(run["noise"], "1"),
        digest,
        "litert 1",
        run["reference"],
        beside if digest != "locked" else {},
    )
    return LockEntry(Tag("m", "t", "int8"), network, digest, 1, {}, "", "", latency=latency)


def judged(rng: np.random.Generator, of: Sequence[Run], case: Case) -> str:
    """Judge one pipeline: a status."""
    # A conversion that has the lock's file times it in up to twelve launches, else in six.
    enough = [run for run in of if (run["launches"] > FEWEST) is case.beside] or of
    locked, now = (enough[at] for at in rng.choice(len(enough), 2, replace=False))
    before = entry(locked, case, "locked", "network")
    network = "network" if case.same_network else "another"
    after = entry(now, case, "ours", network, case.times)
    return latency_check(before, after, None, "lock", "lock latency").status.value


def by_the_old_rule(rng: np.random.Generator, of: Sequence[Run]) -> str:
    """Judge two runs of one file by the intervals of their ratios alone, as was done."""
    locked, now = (of[at] for at in rng.choice(len(of), 2, replace=False))
    (value, low, _), (earlier, _, high) = now["ratio"], locked["ratio"]
    ratio = value / earlier
    below = np.hypot(np.log(value / low), np.log(high / earlier))
    if ratio <= 1.05:
        return "passed"
    return "failed" if np.log(ratio) > below else "inconclusive"


def rows(count: int) -> Iterator[tuple[str, Counter[str]]]:
    """Yield each case with how its pipelines ended, of all models and references alike."""
    groups = list(runs().values())
    for case in CASES:
        rng = np.random.default_rng(0)
        yield case.name, Counter(judged(rng, groups[i % len(groups)], case) for i in range(count))
    rng = np.random.default_rng(0)
    ended = Counter(by_the_old_rule(rng, groups[i % len(groups)]) for i in range(count))
    yield f"no change: the same network, {OLD}", ended


def spread() -> Iterator[str]:
    """Yield the lines of the table of how far runs of one file lay apart."""
    yield "| model, reference | runs | median | ratio to the reference | beside the lock's file |"
    yield "| --- | --- | --- | --- | --- |"
    for (model, reference), of in runs().items():
        apart = [_apart([run[name][0] for run in of]) for name in ("p50", "ratio", "beside")]
        words = "`.tflite`" if reference == "litert" else "SavedModel"
        yield f"| {model}, {words} | {len(of)} | {' | '.join(apart)} |"


def _apart(values: Sequence[float]) -> str:
    """Return the standard deviation of logarithms, and the largest value over the smallest."""
    deviation = float(np.std(np.log(values), ddof=1))
    return f"{deviation:.1%}, x{max(values) / min(values):.3g}".replace("%", " %")


def table(count: int) -> Iterator[str]:
    """Yield the lines of the table in docs/lock.md."""
    columns = {"failed": "red", "inconclusive": "inconclusive", "passed": "green"}
    yield f"| {count} pipelines each | {' | '.join(columns.values())} |"
    yield "| --- |" + " --- |" * len(columns)
    for name, ended in rows(count):
        yield f"| {name} | {' | '.join(str(ended[status]) for status in columns)} |"
