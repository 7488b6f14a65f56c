"""Launches that hold several models: their order, their processes, and a difference found."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tflite_files import G, N, T, build

from edgekit.evaluation.latency import Timed, TimingInputs, Timings, allowed, time_side_by_side
from edgekit.evaluation.launches import least_busy, measure
from edgekit.evaluation.protocol import SIDE_BY_SIDE, Protocol
from edgekit.gate import decide
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.local import LocalDevice, LocalSession
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Preprocess, Request, Status

BRIEF = Protocol(
    min_runs=0,
    min_seconds=0.0,
    launches=3,
    max_launches=3,
    warmup_runs=1,
    warmup_seconds=0.0,
    max_warmup_seconds=0.0,
    block_seconds=0.0,
    blocks=2,
    together=3,
)


class Recording(LocalDevice):
    """A local device that keeps the requests it was opened with."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "requests", folder / "log.txt")
        self.requests: list[Request] = []

    def open(self, request: Request) -> LocalSession:
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


def inputs(files: Path) -> TimingInputs:
    return TimingInputs({"x": files / "x.npy"}, files / "index.npy", Preprocess())


def compared(sides: Sequence[Timed], files: Path, device: Recording, launches: int = 6) -> Timings:
    return time_side_by_side(
        sides, inputs(files), local=device, progress=silent, protocol=allowed(launches)
    )


def brief(sides: Sequence[Timed], files: Path, device: Recording) -> Mapping[str, list[int]]:
    """How many blocks each side has in each of three launches."""
    jobs = [side.job(device, inputs(files)) for side in sides]
    taken = measure([jobs], BRIEF, silent)
    return {name: [len(launch.blocks) for launch in one.launches] for name, one in taken.items()}


def test_a_longer_model_is_found_slower_and_its_own_copy_is_not(files: Path) -> None:
    device = Recording(files)
    sides = [Timed(name, files / f"{name}.tflite", "litert") for name in ("short", "long")]
    sides.append(Timed("same", files / "short.tflite", "litert"))
    found = compared(sides, files, device)
    slow, same = found.ratio("long"), found.ratio("same")
    assert found.names == ["short", "long", "same"]
    assert decide(slow, 1.05, found.noise) is Status.FAILED
    assert decide(same, 1.05, found.noise) is not Status.FAILED
    assert slow.value is not None
    assert slow.low is not None
    assert slow.low > 2
    p50, reference = found.latency("long").p50.value, found.latency("short").p50.value
    assert p50 is not None
    assert reference is not None
    assert slow.value == pytest.approx(p50 / reference, rel=0.5)
    assert (found.launches, slow.n, len(device.requests)) == (6, 6, 6)


def test_models_load_in_an_order_that_every_launch_rotates(files: Path) -> None:
    device = Recording(files)
    sides = [Timed(name, files / "short.tflite", "litert") for name in "abc"]
    assert brief(sides, files, device) == {"a": [2, 2, 2], "b": [2, 2, 2], "c": [2, 2, 2]}
    loaded = ["".join(entry.id for entry in r.models) for r in device.requests]
    assert loaded == ["abc", "bca", "cab"]


def test_the_copy_has_a_process_of_its_own_when_the_sides_have(files: Path) -> None:
    device = Recording(files)
    other = open_device(
        parse("local:tflite-runtime"), Workplace(files / "other", files / "other.txt")
    )
    sides = [
        Timed("here", files / "short.tflite", "litert"),
        Timed("there", files / "short.tflite", "tflite-runtime", device=other),
    ]
    found = compared(sides, files, device)
    held = [[entry.id for entry in request.models] for request in device.requests]
    assert sorted(held) == sorted([["here"], ["here again"]] * 6)
    assert len({request.core for request in device.requests[:2]}) == 1
    assert found.launches == 6


def test_state_is_reset_only_in_the_process_of_models_that_keep_it(files: Path) -> None:
    device = Recording(files)
    sides = [
        Timed("plain", files / "short.tflite", "litert"),
        Timed("state", files / "short.tflite", "litert", stateful=True),
    ]
    brief(sides, files, device)
    resets = {r.models[0].id: r.reset_state for r in device.requests}
    assert resets == {"plain": False, "state": True}


def test_launches_end_at_the_fewest_that_tell_when_time_is_up(files: Path) -> None:
    side = Timed("m", files / "short.tflite", "litert")
    never = replace(allowed(12, limit=0.0), precision=0.0, max_runs=10**9)
    found = time_side_by_side(
        [side], inputs(files), local=Recording(files), progress=silent, protocol=never
    )
    twins = found.ratio("m again")
    assert (found.launches, twins.n, found.taken["m"].stopped) == (6, 6, "limit")
    assert found.noise is not None
    assert found.noise.value is not None
    assert found.noise.value > 0
    assert twins.low is not None
    assert twins.high is not None
    assert found.noise.value == max(twins.high, 1 / twins.low) - 1


def test_launches_end_when_the_verdict_is_decided(files: Path) -> None:
    sides = [Timed(name, files / f"{name}.tflite", "litert") for name in ("short", "long")]
    looks: list[int] = []

    def decided(found: Timings) -> bool:
        looks.append(found.launches)
        return len(looks) == 2

    brief_side_by_side = replace(SIDE_BY_SIDE, min_runs=0, min_seconds=0.0)
    found = time_side_by_side(
        sides,
        inputs(files),
        local=Recording(files),
        progress=silent,
        protocol=brief_side_by_side,
        decided=decided,
    )
    assert (looks, found.launches, found.taken["long"].stopped) == ([6, 9], 9, "decided")


def test_a_lasting_process_is_started_once_and_the_others_in_each_launch(files: Path) -> None:
    device = Recording(files)
    jobs = [
        replace(
            Timed(name, files / "short.tflite", "litert").job(device, inputs(files)),
            lasting=name == "reference",
        )
        for name in ("reference", "a", "b")
    ]
    taken = measure([jobs], BRIEF, silent)
    held = sorted("".join(entry.id for entry in r.models) for r in device.requests)
    assert held == ["ab", "ab", "ba", "reference"]
    assert {len(one.launches) for one in taken.values()} == {3}
    assert len({request.core for request in device.requests}) == 1


def test_five_launches_are_refused(files: Path) -> None:
    side = Timed("m", files / "short.tflite", "litert")
    with pytest.raises(ValueError, match="at least 6"):
        compared([side], files, Recording(files), launches=5)


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
