"""Launches that hold several models: their order, their processes, and a difference found."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tflite_files import G, N, T, build

from edgekit.evaluation.calibration import calibrate
from edgekit.evaluation.latency import Timed, compare_latency
from edgekit.evaluation.launches import Pace, collect, least_busy
from edgekit.gate import decide
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.local import LocalDevice, Session
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Json, Preprocess, Status

BRIEF = Pace(2, 0.0, 2, 0.0, 1, 0.05)


class Recording(LocalDevice):
    """A local device that keeps the requests it was opened with."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "requests", folder / "log.txt")
        self.requests: list[Mapping[str, Json]] = []

    def open(self, request: Mapping[str, Json]) -> Session:
        self.requests.append(request)
        return super().open(request)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one addition, one of many, and their input."""
    folder = tmp_path_factory.mktemp("timed")
    (folder / "short.tflite").write_bytes(probe_model())
    (folder / "long.tflite").write_bytes(sum_of(400))
    np.save(folder / "x.npy", np.ones((4, 4), np.float32))
    np.save(folder / "index.npy", np.arange(4))
    return folder


def sum_of(count: int) -> bytes:
    names = ["x", *(f"y{k}" for k in range(count))]
    nodes = [
        N("ADD", [a, a], [b], options={"kind": "AddOptions"}) for a, b in itertools.pairwise(names)
    ]
    return build(G([T(n, (1, 4)) for n in names], nodes, ["x"], [names[-1]]))


def silent(done: float, total: float, text: str) -> None:
    """Nobody watches."""


def test_a_longer_model_is_found_slower_and_its_own_copy_is_not(files: Path) -> None:
    device = Recording(files)
    sides = [Timed(name, files / f"{name}.tflite", "litert") for name in ("short", "long")]
    sides.append(Timed("same", files / "short.tflite", "litert"))
    found = compare_latency(
        sides, {"x": files / "x.npy"}, files / "index.npy", Preprocess(), local=device,
        progress=silent, launches=6,
    )  # fmt: skip
    slow, same = found["long"], found["same"]
    assert set(found) == {"long", "same"}
    assert decide(slow.ratio, 1.05, slow.floor) is Status.FAILED
    assert decide(same.ratio, 1.05, same.floor) is not Status.FAILED
    assert slow.ratio.value is not None
    assert slow.ratio.low is not None
    assert slow.ratio.low > 2
    assert slow.latency.p50.value is not None
    assert slow.reference.p50.value is not None
    medians = slow.latency.p50.value / slow.reference.p50.value
    assert slow.ratio.value == pytest.approx(medians, rel=0.5)
    assert (slow.launches, slow.ratio.n, len(device.requests)) == (6, 6, 6)


def test_models_load_in_an_order_that_every_launch_rotates(files: Path) -> None:
    device = Recording(files)
    sides = [Timed(name, files / "short.tflite", "litert") for name in "abc"]
    samples = collect(
        device, sides, {"x": files / "x.npy"}, files / "index.npy", Preprocess(), 3, silent, BRIEF
    )
    loaded = ["".join(entry["id"] for entry in r["models"]) for r in device.requests]
    assert loaded == ["abc", "bca", "cab"]
    assert {name: [len(blocks) for blocks in found] for name, found in samples.items()} == {
        "a": [2, 2, 2], "b": [2, 2, 2], "c": [2, 2, 2],
    }  # fmt: skip


def test_the_copy_has_a_process_of_its_own_when_the_sides_have(files: Path) -> None:
    device = Recording(files)
    other = open_device(
        parse("local:tflite-runtime"), Workplace(files / "other", files / "other.txt")
    )
    sides = [
        Timed("here", files / "short.tflite", "litert"),
        Timed("there", files / "short.tflite", "tflite-runtime", device=other),
    ]
    found = compare_latency(
        sides, {"x": files / "x.npy"}, files / "index.npy", Preprocess(), local=device,
        progress=silent, launches=6,
    )["there"]  # fmt: skip
    held = [[entry["id"] for entry in request["models"]] for request in device.requests]
    assert sorted(held) == sorted([["here"], ["here again"]] * 6)
    assert len({request["core"] for request in device.requests[:2]}) == 1
    assert found.launches == 6


def test_state_is_reset_only_in_the_process_of_models_that_keep_it(files: Path) -> None:
    device = Recording(files)
    sides = [
        Timed("plain", files / "short.tflite", "litert"),
        Timed("state", files / "short.tflite", "litert", stateful=True),
    ]
    collect(
        device, sides, {"x": files / "x.npy"}, files / "index.npy", Preprocess(), 1, silent, BRIEF
    )
    resets = {r["models"][0]["id"]: r["reset_state"] for r in device.requests}
    assert resets == {"plain": False, "state": True}


def test_launches_end_at_the_fewest_that_tell_when_time_is_up(files: Path) -> None:
    side = Timed("m", files / "short.tflite", "litert")
    found = calibrate(
        side, {"x": files / "x.npy"}, files / "index.npy", Preprocess(), local=Recording(files),
        progress=silent, launches=12, limit=0.0,
    )  # fmt: skip
    assert (found.launches, found.ratio.n) == (6, 6)
    assert found.smallest.value is not None
    assert found.smallest.value > 0
    assert found.ratio.low is not None
    assert found.ratio.high is not None
    assert found.smallest.value == max(found.ratio.high, 1 / found.ratio.low) - 1


def test_five_launches_are_refused(files: Path) -> None:
    side = Timed("m", files / "short.tflite", "litert")
    with pytest.raises(ValueError, match="at least 6"):
        calibrate(
            side, {}, files / "index.npy", Preprocess(), local=Recording(files), progress=silent,
            launches=5,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("busy", "allowed", "core"),
    [
        ([90.0, 5.0], {0, 1}, 1),
        ([5.0, 90.0], {0, 1}, 0),
        ([5.0, 5.0], {0, 1}, 1),
        ([5.0, 90.0, 50.0], {1, 2}, 2),
        # A core that went off line leaves a gap in the numbers.
        ([5.0, 90.0], {1, 7}, 1),
        ([5.0], {7}, 7),
    ],
)
def test_core_is_the_least_busy_of_those_allowed(
    busy: list[float], allowed: set[int], core: int
) -> None:
    assert least_busy(busy, allowed) == core
