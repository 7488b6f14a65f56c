"""How often `edgekit monitor` cries wolf, and how often it sees a drift: simulated on real digits.

    python benchmarks/monitoring.py

The population is scikit-learn's 1,797 digits and what a logistic regression answers to them. Each
replicate draws golden items and a batch from it, with replacement, and judges the batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rows import Row

from edgekit.record.monitoring import Batch, Golden, judged, of_batch, of_golden, parse_golden
from edgekit.targets.bundles import monitoring
from edgekit.targets.runners import recorder
from edgekit.types import Status
from edgekit.types.monitored import Monitored, MonitorLimits

REPLICATES = 200
GOLDEN = 1000
SIZES = (100, 500, 1000, 5000)
Named = dict[str, Any]


@dataclass(frozen=True)
class Population:
    """Pictures ``[n, 8, 8, 1]`` of 0 to 16, and a classifier that was trained on half of them."""

    pictures: Any
    labels: Any
    model: Any

    def scores(self, pictures: Any) -> Any:
        """Return what the classifier answers."""
        return self.model.predict_proba(pictures.reshape(len(pictures), -1)).astype(np.float32)

    def draw(self, count: int, random: np.random.Generator, shares: Any = None) -> Any:
        """Return positions of items, with replacement; ``shares`` weigh the classes."""
        weights = None if shares is None else shares[self.labels]
        weights = None if weights is None else weights / weights.sum()
        return random.choice(len(self.pictures), count, p=weights)


@functools.cache
def population() -> Population:
    """Return the digits, and a classifier of them."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    digits = load_digits()
    model = LogisticRegression(max_iter=2000, C=0.01).fit(digits.data[::2], digits.target[::2])
    return Population(digits.images[..., None], digits.target, model)


# What is done to a batch: pictures, scores and times in, the same out.
Plant = Callable[[Any, Any, Any], tuple[Any, Any, Any]]
PLANTS: dict[str, Plant] = {
    "brighter by a sixteenth": lambda x, y, t: (x + 1, y, t),
    "half as sharp": lambda x, y, t: ((x + np.roll(x, 1, axis=2)) / 2, y, t),
    "half as sure": lambda x, y, t: (x, (y + y.mean(axis=1, keepdims=True)) / 2, t),
    "1.5 times as slow": lambda x, y, t: (x, y, t * 1.5),
    "5 % take ten times as long": lambda x, y, t: (x, y, np.where(t.argsort() % 20, t, 10 * t)),
}


def golden_of(count: int, random: np.random.Generator) -> Golden:
    """Return the golden statistics of items that were drawn."""
    every = population()
    pictures = every.pictures[every.draw(count, random)]
    outputs = {"scores": every.scores(pictures)}
    tensors = [
        monitoring.layout_of("image", "input", pictures.shape[1:]),
        monitoring.layout_of("scores", "output", (10,)),
    ]
    values = (pictures, outputs["scores"])
    tables = [(one, monitoring.table_of(one, v)) for one, v in zip(tensors, values, strict=True)]
    model = {"name": "digits", "version": "1", "model": "0" * 64}
    scored = monitoring.Classes("scores", tuple("0123456789"))
    return parse_golden(monitoring.statistics_of(model, tables, scored, outputs["scores"]))


def batch_of(golden: Golden, pictures: Any, scores: Any, times: Any, errors: int = 0) -> Batch:
    """Return the sum of the records of these items."""
    window = recorder.Window(golden.document, 0.0)
    window.add({"image": pictures}, {"scores": scores}, [int(one) for one in times])
    facts = window.facts("", 0.0)
    batch = Batch({name: np.array(one["counts"]) for name, one in facts["features"].items()})
    batch.classes.update({int(key): count for key, count in facts["classes"].items()})
    batch.latency.update({int(key): n for key, n in facts["latency"]["buckets"].items()})
    batch.items, batch.errors, batch.windows = len(pictures), errors, 1
    return batch


def drawn(count: int, random: np.random.Generator, shares: Any = None) -> tuple[Any, Any, Any]:
    """Return pictures, scores, and times of two milliseconds with a tail."""
    every = population()
    pictures = every.pictures[every.draw(count, random, shares)]
    return pictures, every.scores(pictures), 2e6 * random.lognormal(0, 0.2, count)


def outcome(count: int, seed: int, plant: str = "") -> Monitored:
    """Judge a batch against golden items, and its latency against an earlier batch."""
    random = np.random.default_rng(seed)
    golden = golden_of(GOLDEN, random)
    before = batch_of(golden, *drawn(GOLDEN, random))
    shares = np.where(np.arange(10) == 0, 6.0, 1.0) if plant == "one class six times" else None
    now = drawn(count, random, shares)
    if plant in PLANTS:
        now = PLANTS[plant](*now)
    errors = count // 25 if plant == "4 % are not answered" else 0
    reference = replace(of_golden(golden), latency=of_batch(golden, before).latency)
    return judged(golden, reference, batch_of(golden, *now, errors), MonitorLimits())


def shares(count: int, plant: str = "", replicates: int = REPLICATES) -> dict[Status, float]:
    """Return the share of batches of each outcome."""
    found = [outcome(count, seed, plant).status for seed in range(replicates)]
    return {status: found.count(status) / replicates for status in dict.fromkeys(found)}


def rows() -> Iterator[Row]:
    """Yield the false alarms by the size of the batch, then what is seen of each drift."""
    for count in SIZES:
        found = shares(count)
        red, open_ = (found.get(one, 0.0) for one in (Status.FAILED, Status.INCONCLUSIVE))
        yield Row(
            f"`edgekit monitor`: {REPLICATES} batches of {count:,} items without drift",
            "at most 1 % red",
            f"{red:.1%} red, {open_:.1%} inconclusive",
            red <= 0.01,
        )
    for plant in (*PLANTS, "one class six times", "4 % are not answered"):
        found = shares(1000, plant, 50)
        red = found.get(Status.FAILED, 0.0)
        yield Row(
            f"`edgekit monitor`: 50 batches of 1,000 items, {plant}",
            "at least 90 % red",
            f"{red:.0%} red",
            red >= 0.9,
        )


if __name__ == "__main__":
    for row in rows():
        print(row.what, "|", row.measured, "|", "kept" if row.kept else "NOT kept", flush=True)
