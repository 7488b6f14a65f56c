"""``convert``, ``compare`` and ``bench`` time by one engine: alike launches, alike figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benching import nothing

from conftest import edgekit
from edgekit.errors import RunnerError
from edgekit.evaluation import latency as timing
from edgekit.evaluation import launches
from edgekit.evaluation.protocol import SIDE_BY_SIDE
from edgekit.pipeline.locked_files import LockedFiles
from edgekit.pipeline.measure import bench_summary
from edgekit.pipeline.measure.loaded_model import LoadedModel
from edgekit.pipeline.measure.measure_options import MeasureOptions
from edgekit.pipeline.measure.model_on_device import ModelOnDevice
from edgekit.pipeline.measure.noise import calibrate_noise
from edgekit.pipeline.measure.timing import timed
from edgekit.pipeline.side_by_side import time_models
from edgekit.project import Budgets
from edgekit.targets.devices.agent import machine
from edgekit.types import Benched, Latency, Measured, Measurement, Preprocess, Request

MS = 1e6
# A busy host changes its speed by more than any interval tells from one command to the next.
APART = Measurement(0.1, "1")


class Recorded:
    """A device of written times: by model, launch after launch, each with a speed of its own."""

    name = "recorded"
    runtime = "litert"
    transport = "local"
    state = staticmethod(machine.state)
    estimates = staticmethod(lambda: None)
    now = staticmethod(lambda: 0.0)

    def __init__(self, spread: float = 0.001) -> None:
        self.opened: list[list[str]] = []
        self._spread = spread

    def core(self) -> int | None:
        return None

    def facts(self) -> Mapping[str, Any]:
        return {}

    def open(self, request: Request) -> Any:
        names = [one.id for one in request.models]
        launch = len(self.opened)
        self.opened.append(names)
        times = {name: self._times(name, launch) for name in names}

        def block(model: str, seconds: float, runs: int) -> list[int]:
            taken: list[int] = []
            while len(taken) < runs or sum(taken) < seconds * 1e9:
                taken.append(round(next(times[model])))
            return taken

        facts = {"load_ns": 9, "first_ns": 9, "memory": {"baseline_bytes": 1, "peak_bytes": 2}}
        answer = {"models": dict.fromkeys(names, facts), "version": "1"}
        return SimpleNamespace(ready=lambda: answer, block=block, close=lambda: None)

    def _times(self, name: str, launch: int) -> Iterator[float]:
        # The second copy of a model has the model's level, and launches of its own.
        level = {"a": 0.2, "b": 0.3}[name[0]] * MS
        rng = np.random.default_rng([launch, len(name), ord(name[0])])
        level *= 1 + self._spread * rng.standard_normal()
        while True:
            yield level * (1 + 0.01 * rng.standard_normal())


def run_of(device: Recorded) -> Any:
    """As much of a run as timing needs."""

    return SimpleNamespace(
        device=device,
        progress=SimpleNamespace(update=nothing),
        stage=lambda _: nullcontext(SimpleNamespace(result="")),
        early=None,
    )


ITEMS: Any = SimpleNamespace(inputs={}, index_path=Path("i.npy"), preprocess=Preprocess())


def sides(device: Recorded) -> list[timing.Timed]:
    return [timing.Timed(one, Path(one), "litert", device=device) for one in "ab"]  # type: ignore[arg-type]


def by_convert(device: Recorded, budget: str = "1 s") -> timing.Timings:
    budgets = [Budgets.model_validate({"latency_p50": budget})]
    return time_models(run_of(device), device, sides(device), ITEMS, budgets)


def by_compare(device: Recorded, slowdown: float | None = 9.0) -> timing.Timings:
    given = [
        ModelOnDevice(
            Measured(one, one, "d", runtime="litert"), subject_of(one, device), ITEMS, outputs={}
        )
        for one in "ab"
    ]
    found = timed(run_of(device), given, ITEMS, MeasureOptions(max_slowdown=slowdown))
    assert found is not None
    return found


def subject_of(name: str, device: Recorded) -> Any:
    model: Any = SimpleNamespace(
        path=Path(name), stateful=False, signature=None, carried=lambda _: {}
    )
    return LoadedModel(name, name, model, device)  # type: ignore[arg-type]


LOCKED = "b of edgekit.lock"


def locked_of(device: Recorded) -> LockedFiles:
    side = timing.Timed(LOCKED, Path("b"), "litert", device=device)  # type: ignore[arg-type]
    return LockedFiles((side,), {"digest": LOCKED})


def test_file_of_the_lock_takes_turns_with_the_candidates() -> None:
    device = Recorded()
    locked = locked_of(device)
    found = time_models(run_of(device), device, sides(device), ITEMS, [], locked)
    assert device.opened[0] == ["a", "b", LOCKED, "a again"]
    beside = {name: locked.latency(found, name).beside["digest"].value for name in "ab"}
    assert beside == {"a": pytest.approx(2 / 3, 0.01), "b": pytest.approx(1.0, 0.01)}
    # Without one nothing is judged: there is no second copy, and there are fewer launches.
    assert "digest" not in LockedFiles().latency(by_convert(Recorded()), "a").beside


def test_file_of_the_lock_that_cannot_be_timed_takes_nothing_from_the_others() -> None:
    """The planted fault: it takes other inputs."""

    class Refusing(Recorded):
        def open(self, request: Request) -> Any:
            if LOCKED in (one.id for one in request.models):
                raise RunnerError("EK-RUNNER-001", "the model has no input of that name")
            return super().open(request)

    device = Refusing()
    locked = locked_of(device)
    found = time_models(run_of(device), device, sides(device), ITEMS, [], locked)
    assert found.names == ["a", "b"]
    assert locked.latency(found, "a").beside == {}


def test_convert_and_compare_give_the_same_figures_of_the_same_launches() -> None:
    mine, theirs = Recorded(), Recorded()
    converted, compared = by_convert(mine), by_compare(theirs)
    assert mine.opened == theirs.opened
    assert mine.opened[0] == ["a", "b", "a again"]
    assert len(mine.opened) == SIDE_BY_SIDE.launches
    for name in "ab":
        assert converted.latency(name) == compared.latency(name)
    assert converted.ratio("b") == compared.ratio("b")
    assert converted.noise == compared.noise


def test_bench_gives_the_figures_of_the_others_for_the_same_launches(tmp_path: Path) -> None:
    compared = by_compare(Recorded())
    taken = compared.taken["a"]
    row = bench_summary.summarized(Benched("a", "a", "d"), taken, tmp_path / "0.npy")
    assert row.latency is not None
    assert replace(row.latency, path=None, noise=compared.noise) == compared.latency("a")


def test_bench_calibrates_by_the_launches_that_the_others_take() -> None:
    device = Recorded()
    feed = SimpleNamespace(inputs={}, index=Path("i.npy"), preprocess=Preprocess())
    entry: Any = SimpleNamespace(subject=subject_of("a", device), feed=feed)
    noise = calibrate_noise(run_of(device), (entry,))
    assert set(map(tuple, device.opened)) == {("a", "a again"), ("a again", "a")}
    # Launches in which "b" has a part have times of their own: not the same, but alike.
    other = by_compare(Recorded()).noise
    assert noise.value is not None
    assert other is not None
    assert other.value is not None
    assert noise.value == pytest.approx(other.value, abs=0.01)


def test_all_three_call_one_engine() -> None:
    assert timing.measure is launches.measure


@pytest.mark.parametrize(
    ("time", "launches"),
    [
        # What is decided at once takes the fewest; what is not, all.
        (lambda device: by_convert(device, "1 s"), 6),
        (lambda device: by_convert(device, "0.25 ms"), 6),
        (lambda device: by_convert(device, "0.2 ms"), 12),
        (lambda device: by_compare(device, 9.0), 6),
        (lambda device: by_compare(device, 0.1), 6),
        (lambda device: by_compare(device, 0.5), 12),
        # Without a budget, an interval of 1 % is enough.
        (lambda device: by_compare(device, None), 6),
    ],
)
def test_timing_stops_when_the_verdict_is_decided(
    time: Callable[[Recorded], timing.Timings], launches: int
) -> None:
    assert time(Recorded()).launches == launches


def test_timing_goes_on_while_the_interval_is_wide() -> None:
    assert by_compare(Recorded(spread=0.1), None).launches == 12


@pytest.mark.slow
def test_figures_of_one_model_agree_between_the_three(digits_run: Path, tmp_path: Path) -> None:
    """Within their intervals and a tenth; thrice, for another load may begin between commands."""
    project = digits_run / "project"
    build = project / "build" / "digits"
    files = [str(build / one / "model.tflite") for one in ("float32", "int8")]
    ours = ("--project", "edgekit.toml")
    tries = []
    for number in range(3):
        done = edgekit("convert", "--json", "--output", tmp_path / str(number), cwd=project)
        report = json.loads(done.stdout)
        made = next(one for one in report["candidates"] if one["id"] == "float32")["latency"]
        compared = json.loads(edgekit("compare", *files, *ours, "--json", cwd=project).stdout)
        beside = next(iter(compared["latency"].values()))
        benched = json.loads(edgekit("bench", files[0], *ours, "--json", cwd=project).stdout)
        alone = benched["rows"][0]["latency"]
        tries.append([interval(one, APART) for one in (made, beside, alone)])
        if max(low for low, _ in tries[-1]) <= min(high for _, high in tries[-1]):
            return
    pytest.fail(f"no common figure: {tries}")


def interval(latency: Mapping[str, Any], noise: Measurement) -> tuple[float, float]:
    from edgekit.gate.decision import widened

    found = widened(Measurement(**latency["p50"]), noise)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_a_latency_has_all_figures() -> None:
    found = by_convert(Recorded())
    latency: Latency = found.latency("a")
    values = [
        one.value or 0.0
        for one in (latency.min, latency.p5, latency.p50, latency.p90, latency.p95, latency.p99)
    ]
    assert values == sorted(values)
    assert latency.launches == tuple(len(one.runs) for one in found.taken["a"].launches)
    assert latency.stopped == "decided"
