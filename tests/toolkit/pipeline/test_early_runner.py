"""A runner that was started before it is needed: its answers, its times, and when it is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benching import nothing

from edgekit.errors import RunnerCrashed, RunnerError
from edgekit.evaluation.latency import Timed, TimingInputs, time_side_by_side
from edgekit.evaluation.protocol import SIDE_BY_SIDE
from edgekit.pipeline import answers, early_runner
from edgekit.pipeline.early_runner import EarlyRunner, NearEnd
from edgekit.sandbox import Sandbox, state
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Preprocess, Request, RunnerModel

BRIEF = replace(
    SIDE_BY_SIDE,
    min_runs=6,
    min_seconds=0.006,
    blocks=1,
    together=6,
    max_launches=6,
)


class Counting(LocalDevice):
    """A local device that counts the runners it starts."""

    started = 0

    def open(self, request: Any, *reach: Any) -> Any:
        self.started += 1
        return super().open(request, *reach)


@pytest.fixture
def device(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "requests", tmp_path / "log.txt")


@pytest.fixture
def side(tmp_path: Path) -> Timed:
    (tmp_path / "m.tflite").write_bytes(probe_model())
    np.save(tmp_path / "x.npy", np.arange(12, dtype=np.float32).reshape(3, 4))
    np.save(tmp_path / "index.npy", np.arange(3))
    return Timed("reference", tmp_path / "m.tflite", "litert")


@pytest.fixture
def feed(tmp_path: Path) -> TimingInputs:
    return TimingInputs({"x": tmp_path / "x.npy"}, tmp_path / "index.npy", Preprocess())


@pytest.fixture
def early(
    side: Timed, feed: TimingInputs, device: Counting, tmp_path: Path
) -> Iterator[EarlyRunner]:
    found = EarlyRunner.start(side, feed, device, tmp_path / "early")
    yield found
    found.session.close()


def asked(side: Timed, feed: TimingInputs, outputs: Path) -> Request:
    return Request(
        mode="evaluate",
        models=(RunnerModel(side.id, side.path, outputs),),
        inputs=feed.inputs,
        index=feed.index,
        preprocess=feed.preprocess,
        runtime=side.runtime,
        threads=1,
    )


def test_it_answers_as_a_runner_of_its_own_does(
    early: EarlyRunner, side: Timed, feed: TimingInputs, device: Counting, tmp_path: Path
) -> None:
    found = early.answer(asked(side, feed, tmp_path / "mine"), 3)
    told = device.run(asked(side, feed, tmp_path / "own"))
    assert found is not None
    (file,) = (tmp_path / "mine").glob("*.npy")
    assert np.array_equal(np.load(file), np.load(tmp_path / "own" / file.name))
    assert set(found["models"]["reference"]) == set(told["models"]["reference"])
    assert found["version"] == told["version"]


def test_it_is_timed_after_that_without_another_start(
    early: EarlyRunner, side: Timed, feed: TimingInputs, device: Counting, tmp_path: Path
) -> None:
    early.answer(asked(side, feed, tmp_path / "mine"), 3)
    job = replace(early.job, lasting=True)
    found = time_side_by_side(
        [side, replace(side, id="other")],
        feed,
        local=device,
        progress=nothing,
        protocol=BRIEF,
        noise=False,
        early=job,
    )
    assert found.launches == 6
    # The early one, and six launches of the other.
    assert device.started == 7


def test_what_takes_long_is_left_to_all_cores(
    early: EarlyRunner,
    side: Timed,
    feed: TimingInputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(early_runner, "SECONDS", 0.0)
    assert early.answer(asked(side, feed, tmp_path / "mine"), 3) is None


def test_one_started_ahead_answers_and_is_timed_as_well(
    side: Timed, feed: TimingInputs, device: Counting, tmp_path: Path
) -> None:
    """Its runtime is loaded before its model is there."""
    outputs, model = tmp_path / "early", side.path.read_bytes()
    outputs.mkdir()
    side.path.unlink()
    loading = Request(mode="load", models=(), runtime=side.runtime)
    session = device.open(loading, Sandbox((tmp_path,), (outputs,)))
    side.path.write_bytes(model)
    early = EarlyRunner.start(side, feed, device, outputs, session)
    try:
        found = early.answer(asked(side, feed, tmp_path / "mine"), 3)
        told = device.run(asked(side, feed, tmp_path / "own"))
        assert found is not None
        (file,) = (tmp_path / "mine").glob("*.npy")
        assert np.array_equal(np.load(file), np.load(tmp_path / "own" / file.name))
        assert set(found["models"]["reference"]) == set(told["models"]["reference"])
        assert len(session.block("reference", 0.0, 3)) >= 3
        assert device.started == 1
    finally:
        session.close()


def test_one_started_ahead_reaches_what_it_was_given_and_no_more(
    side: Timed, feed: TimingInputs, device: Counting, tmp_path: Path
) -> None:
    if not state().abi:
        pytest.skip("no Landlock here")
    (tmp_path / "early").mkdir()
    loading = Request(mode="load", models=(), runtime=side.runtime)
    session = device.open(loading, Sandbox((), (tmp_path / "early",)))
    try:
        early = EarlyRunner.start(side, feed, device, tmp_path / "early", session)
        with pytest.raises(RunnerError):
            early.answer(asked(side, feed, tmp_path / "mine"), 3)
    finally:
        session.close()


@pytest.mark.parametrize(
    ("epochs", "seconds", "first"), [(1, 60.0, 0.0), (3, 60.0, 2.0), (10, 1.0, 7.0), (10, 0.1, 0.5)]
)
def test_the_end_of_its_stage_begins_it(epochs: int, seconds: float, first: float) -> None:
    begun: list[float] = []
    done = 0.0
    near_end = NearEnd("train", lambda: begun.append(done), clock=lambda: done * seconds)
    for stage in ("data", "train"):
        for step in range(2 * epochs + 1):
            done = step / 2
            near_end(stage, done, epochs)
    assert begun[0] == first
    assert len(begun) == 2 * (epochs - first) + 1


@pytest.mark.parametrize("change", [{"path": Path("other.tflite")}, {"signature": "other"}])
def test_it_serves_its_own_model_only(
    early: EarlyRunner, side: Timed, feed: TimingInputs, change: dict[str, Any]
) -> None:
    assert early.serves(asked(side, feed, Path("o")))
    other = replace(side, **change)
    wanted = replace(asked(other, feed, Path("o")), signature=other.signature)
    assert not early.serves(wanted)


def test_a_runner_of_its_own_answers_where_the_early_one_died(
    early: EarlyRunner, side: Timed, feed: TimingInputs, tmp_path: Path
) -> None:
    early.session.ready()
    early.session.process.kill()
    with pytest.raises(RunnerCrashed):
        early.answer(asked(side, feed, tmp_path / "mine"), 3)
    stopped: list[bool] = []
    run: Any = SimpleNamespace(early=early, stop_early=lambda: stopped.append(True))
    assert answers._early(run, asked(side, feed, tmp_path / "mine"), 3) is None
    assert stopped == [True]
