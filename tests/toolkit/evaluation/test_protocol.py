"""The latency protocol over written times: when it warms up, goes on, and stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benching import QUICK, RefusingDevice, Times, TraceDevice, job, nothing

from edgekit.errors import RunnerError
from edgekit.evaluation.launches import half_width, measure, warm_up
from edgekit.types import Request, RunnerModel

MS = 1e6
ONE = Request("bench", (RunnerModel("m", Path("m")),))


def noisy(level: float = MS, shift: float = 0.0, spread: float = 0.002) -> Times:
    """Times about a level that every launch shifts by up to ``shift``."""

    def times(launch: int) -> Iterator[float]:
        rng = np.random.default_rng(launch)
        mine = level * (1 + shift * rng.random())
        while True:
            yield mine * (1 + spread * rng.standard_normal())

    return times


def cooling(runs: int, factor: float = 3.0) -> Times:
    """Times that start ``factor`` times as long and settle after so many runs."""

    def times(launch: int) -> Iterator[float]:
        steady = noisy()(launch)
        for at in range(10**9):
            yield next(steady) * (1 + (factor - 1) * max(0.0, 1 - at / runs))

    return times


def test_quiet_launches_stop_at_the_floor_by_precision() -> None:
    taken = measure([[job("m", TraceDevice(noisy()))]], QUICK, nothing)["m"]
    assert taken.stopped == "precision"
    assert len(taken.launches) == QUICK.launches
    assert half_width(taken.launches) <= QUICK.precision
    assert sum(len(launch.runs) for launch in taken.launches) >= QUICK.min_runs
    assert sum(launch.runs.sum() for launch in taken.launches) / 1e9 >= QUICK.min_seconds


def test_launches_are_added_when_whole_launches_shift() -> None:
    taken = measure([[job("m", TraceDevice(noisy(shift=0.3)))]], QUICK, nothing)["m"]
    assert taken.stopped == "max-launches"
    assert len(taken.launches) == QUICK.max_launches


def test_few_more_launches_suffice_when_shifts_are_small() -> None:
    taken = measure([[job("m", TraceDevice(noisy(shift=0.03)))]], QUICK, nothing)["m"]
    assert QUICK.launches < len(taken.launches) <= QUICK.max_launches


@pytest.mark.parametrize(
    ("change", "stopped"), [({"max_runs": 60}, "max-runs"), ({"max_seconds": 0.06}, "max-seconds")]
)
def test_a_ceiling_ends_what_is_not_precise(change: dict[str, float], stopped: str) -> None:
    protocol = replace(QUICK, **change)  # type: ignore[arg-type]
    taken = measure([[job("m", TraceDevice(noisy(shift=0.3)))]], protocol, nothing)["m"]
    assert taken.stopped == stopped
    assert half_width(taken.launches) > QUICK.precision


def test_a_slow_model_is_not_run_beyond_its_seconds() -> None:
    taken = measure([[job("m", TraceDevice(noisy(level=500 * MS)))]], QUICK, nothing)["m"]
    timed = sum(launch.runs.sum() for launch in taken.launches) / 1e9
    assert taken.stopped in ("precision", "max-seconds")
    assert timed <= QUICK.max_seconds + QUICK.launches * 0.55


def test_a_noisier_launch_is_timed_for_longer() -> None:
    quiet = measure([[job("m", TraceDevice(noisy()))]], QUICK, nothing)["m"]
    brief = replace(QUICK, max_seconds=1.0)
    loud = measure([[job("m", TraceDevice(noisy(spread=0.1)))]], brief, nothing)["m"]
    assert len(loud.launches[0].runs) > 2 * len(quiet.launches[0].runs)


@pytest.mark.parametrize("runs", [0, 30, 60])
def test_warm_up_lasts_until_the_drift_stops(runs: int) -> None:
    session = TraceDevice(cooling(max(runs, 1))).open(ONE)
    samples, settled = warm_up(session, "m", QUICK)
    assert settled
    assert len(samples) >= max(QUICK.warmup_runs, runs)
    assert samples.sum() / 1e9 <= QUICK.max_warmup_seconds


def test_warm_up_gives_up_and_says_so_when_the_drift_goes_on() -> None:
    def rising(launch: int) -> Iterator[float]:
        for at in range(10**9):
            yield MS * (1 + at / 50)

    session = TraceDevice(rising).open(ONE)
    samples, settled = warm_up(session, "m", QUICK)
    assert not settled
    assert samples.sum() / 1e9 >= QUICK.max_warmup_seconds


def test_rows_take_turns_launch_by_launch_in_alternating_order() -> None:
    log: list[str] = []
    jobs = [job(name, TraceDevice(noisy(), log)) for name in ("a", "b")]
    measure([[one] for one in jobs], QUICK, nothing)
    opened = [line for line in log if line.startswith("open")]
    assert opened[:4] == ["open a", "open b", "open b", "open a"]
    # One runner at a time: another that is loading would be noise.
    assert log[0::2] == [line.replace("close", "open") for line in log[1::2]]


def test_a_refused_model_leaves_the_others_measured() -> None:
    jobs = [job("bad", RefusingDevice()), job("good", TraceDevice(noisy()))]
    taken = measure([[one] for one in jobs], QUICK, nothing)
    assert isinstance(taken["bad"].error, RunnerError)
    assert taken["bad"].stopped == "error"
    assert taken["good"].stopped == "precision"
