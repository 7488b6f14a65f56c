"""The rule that compares latencies, on recorded launches: how often it is wrong, or cannot tell.

``traces.npz`` holds launches of one small network in ai-edge-litert, beside a process that spun on
one of two cores and other work on both: three copies of one file, and one that spins for 10 % of
the median in what is timed. ``together`` are four copies in one process, ``apart`` one each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.evaluation.latency import noise_floor, paired
from edgekit.evaluation.protocol import SIDE_BY_SIDE
from edgekit.gate import decide
from edgekit.types import Measurement, Status

BUDGET = 0.05
LOOKS = range(SIDE_BY_SIDE.launches, SIDE_BY_SIDE.max_launches + 1, SIDE_BY_SIDE.together)
LAUNCHES = SIDE_BY_SIDE.max_launches
COPIES, SLOWED = 3, 3

Block = npt.NDArray[np.float64]
Launch = list[list[Block]]
#: Changes a launch's sides: a factor for each of the first, the second, and the first's twin.
Shift = Callable[[np.random.Generator], npt.NDArray[np.float64]]


def none(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return np.ones(3)


def whole_launch(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """All that a launch holds is slower by 5 to 50 %."""
    return np.full(3, 1 + rng.uniform(0.05, 0.5))


def one_copy(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """In a launch of eight, one copy is slower by 5 to 50 %."""
    factors = np.ones(3)
    if rng.random() < 1 / 8:
        factors[rng.integers(3)] = 1 + rng.uniform(0.05, 0.5)
    return factors


def every_copy(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Every copy is slower by 5 to 50 % of its own: nothing can be told."""
    return 1 + rng.uniform(0.05, 0.5, 3)


def slow_second_side(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """In a launch of four, the second side alone is slower by 5 to 50 %."""
    return np.array([1, 1 + rng.uniform(0.05, 0.5) * (rng.random() < 0.25), 1])


@pytest.fixture(scope="module")
def traces() -> dict[str, list[Launch]]:
    """By recording, launches of sides (three copies, and the slowed one) of blocks."""
    with np.load(Path(__file__).with_name("traces.npz")) as file:
        return {name: launches(file, name) for name in ("together", "apart")}


def launches(file: dict[str, npt.NDArray[np.int64]], name: str) -> list[Launch]:
    sizes = file[f"{name}_sizes"]
    blocks = np.split(file[f"{name}_ns"].astype(np.float64), np.cumsum(sizes.ravel())[:-1])
    sides, count, turns = sizes.shape
    at = np.arange(sides * count * turns).reshape(sizes.shape)
    return [
        [[blocks[k] for k in at[side, launch]] for side in range(sides)] for launch in range(count)
    ]


def verdicts(recorded: list[Launch], trials: int, *, slowed: bool, shift: Shift) -> Counter[str]:
    """The verdicts of so many comparisons drawn from the launches, and "faster" claims."""
    rng = np.random.default_rng(trials + slowed)
    found: Counter[str] = Counter()
    for _ in range(trials):
        samples: dict[str, list[list[Block]]] = {"first": [], "second": [], "twin": []}
        for k in rng.choice(len(recorded), LAUNCHES, replace=False):
            first, twin, alike = rng.permutation(COPIES)
            sides = (first, SLOWED if slowed else alike, twin)
            for name, side, factor in zip(samples, sides, shift(rng), strict=True):
                samples[name].append([block * factor for block in recorded[k][side]])
        status, ratio = verdict(samples)
        found[status.value] += 1
        assert ratio.high is not None
        found["faster"] += ratio.high < 1 / (1 + BUDGET)
    return found


def verdict(samples: dict[str, list[list[Block]]]) -> tuple[Status, Measurement]:
    """The first verdict that is one, as the engine looks for it: after so many launches."""
    for made in LOOKS:
        first, second, twin = (samples[name][:made] for name in ("first", "second", "twin"))
        ratio, floor = paired(second, first), noise_floor(paired(twin, first))
        status = decide(ratio, 1 + BUDGET, floor)
        if status is not Status.INCONCLUSIVE:
            break
    return status, ratio


@pytest.mark.parametrize(
    ("recording", "shift"),
    [
        *(("together", s) for s in (none, whole_launch, one_copy, slow_second_side, every_copy)),
        ("apart", none),
        ("apart", one_copy),
    ],
)
def test_a_model_against_itself_raises_no_false_alarm(
    traces: dict[str, list[Launch]], recording: str, shift: Shift
) -> None:
    found = verdicts(traces[recording], 200, slowed=False, shift=shift)
    assert found[Status.FAILED.value] + found["faster"] <= 2


@pytest.mark.parametrize(
    ("recording", "shift"),
    [("together", none), ("together", whole_launch), ("together", one_copy), ("apart", none)],
)
def test_a_slowdown_of_a_tenth_is_found(
    traces: dict[str, list[Launch]], recording: str, shift: Shift
) -> None:
    found = verdicts(traces[recording], 100, slowed=True, shift=shift)
    assert found[Status.INCONCLUSIVE.value] <= 30
    assert found[Status.FAILED.value] >= 0.95 * (100 - found[Status.INCONCLUSIVE.value])


def test_nothing_is_decided_when_every_copy_has_a_speed_of_its_own(
    traces: dict[str, list[Launch]],
) -> None:
    for slowed in (False, True):
        found = verdicts(traces["together"], 50, slowed=slowed, shift=every_copy)
        assert found[Status.INCONCLUSIVE.value] >= 45


def test_one_launch_alone_would_raise_false_alarms(traces: dict[str, list[Launch]]) -> None:
    """The traces are no easy ones: what is usually compared, two means, is wrong on them."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        sides = traces["together"][rng.integers(len(traces["together"]))]
        first, second = rng.permutation(COPIES)[:2]
        means = [np.concatenate(sides[side]).mean() for side in (first, second)]
        wrong += abs(means[1] / means[0] - 1) > BUDGET
    assert wrong > 2
