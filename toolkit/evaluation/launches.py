"""Timed launches: fresh processes on the least busy core, warm-up, then blocks that take turns.

What a launch shares (the core's clock, another process beside it) cancels between models that take
turns in it. What one loaded copy of a model keeps while it lives (where its memory lies) does not:
it differs from launch to launch, and only more launches average it out.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from edgekit.errors import ConnectionLost
from edgekit.targets.devices import Device
from edgekit.targets.devices.transport import RunnerSession, Transport
from edgekit.types import Preprocess, Request, RunnerModel

Progress = Callable[[float, float, str], None]
#: Nanoseconds of every timed inference: by model, launch and block.
Samples = Mapping[str, list[list[list[int]]]]

# Launches that start together and then sleep till their turn: start-up uses all cores, yet few
# processes hold their models at once. Three, because that many more bear one more wild launch.
TOGETHER = 3
# How often launches are begun whose device goes away.
ATTEMPTS = 3
# Kernels count a core's busy time in ticks of 10 ms at the coarsest.
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Timed:
    """One side to time: its id, its file or folder, the runtime, and whether it keeps state.

    Without a ``device`` it runs on ``runtime`` of the host that is given beside it.
    """

    id: str
    path: Path
    runtime: str
    stateful: bool = False
    device: Device | None = None
    threads: int = 1
    delegate: str = ""
    arena: int | None = None
    inputs: Mapping[str, Path] | None = None
    signature: str | None = None

    @property
    def process(self) -> tuple[object, ...]:
        """What sides must share to be held by one process."""
        feeds = tuple(sorted(self.inputs.items())) if self.inputs is not None else None
        place = self.device.name if self.device else ""
        return (
            place, self.runtime, self.stateful, self.threads, self.delegate, self.arena, feeds,
            self.signature,
        )  # fmt: skip


@dataclass(frozen=True)
class Pace:
    """How long one model is timed in one launch: its warm-up, then its blocks.

    A block ends after ``block_seconds`` and ``block_runs``; runs are fewer, down to one, where they
    would take longer than ``patient_seconds``. Warm-up likewise.
    """

    blocks: int
    block_seconds: float
    block_runs: int
    warmup_seconds: float
    warmup_runs: int
    patient_seconds: float


# Few launches, long blocks: for percentiles of many models, some of which start slowly.
LONG_BLOCKS = Pace(8, 0.02, 5, 0.1, 10, 0.5)
# Many launches, short blocks: the shorter, the nearer in time are those that are compared.
SHORT_BLOCKS = Pace(6, 0.005, 5, 0.015, 5, 0.05)


def collect(
    local: Transport, models: Sequence[Timed], inputs: Mapping[str, Path], index: Path,
    preprocess: Preprocess, count: int, progress: Progress, pace: Pace = LONG_BLOCKS,
    apart: Collection[str] = (), seconds: float = math.inf, least: int = 1,
) -> Samples:  # fmt: skip
    """Nanoseconds of every timed inference in ``count`` launches, of all models alike.

    A launch is a fresh process per device, all pinned to one core; ids in ``apart`` have a process
    of their own. Models load and take turns in an order that every launch rotates and every round
    reverses. There are fewer launches, but not below ``least``, where they would take longer than
    ``seconds``. Raises what the device's ``open`` and its sessions raise.
    """
    found: dict[str, list[list[list[int]]]] = {model.id: [] for model in models}
    orders = [_rotated(models, number) for number in range(count)]
    clock = clock_of(local, models)
    begin = clock()
    for at in range(0, count, TOGETHER):
        if at >= least and (clock() - begin) * (at + TOGETHER) / at > seconds:
            break
        opener = partial(_open, local, inputs, index, preprocess, apart)
        for taken in _together(opener, orders[at : at + TOGETHER], at, count, progress, pace):
            for name, blocks in taken.items():
                found[name].append(blocks)
    return found


def clock_of(local: Transport, models: Sequence[Timed]) -> Callable[[], float]:
    """The clock by which models are timed: that of the first one's device."""
    first = models[0].device
    return local.now if first is None else first.now


def _together(
    opener: Callable[..., Mapping[str, RunnerSession]], orders: Sequence[list[Timed]], at: int,
    count: int, progress: Progress, pace: Pace,
) -> list[Mapping[str, list[list[int]]]]:  # fmt: skip
    """The blocks of some launches; begun again, together, where a device goes away meanwhile."""
    attempt = 0
    while True:
        attempt += 1
        taken: list[Mapping[str, list[list[int]]]] = []
        try:
            with contextlib.ExitStack() as stack:
                core = _core()
                launches = [(order, opener(order, core, stack)) for order in orders]
                for number, (_, sessions) in enumerate(launches, at + 1):
                    progress(at, count, f"starting launch {number} of {count}")
                    for session in set(sessions.values()):
                        session.ready()
                for number, (order, sessions) in enumerate(launches, at):
                    progress(number, count, f"launch {number + 1} of {count}")
                    taken.append(_time(order, sessions, pace))
            return taken
        except ConnectionLost:
            if attempt == ATTEMPTS:
                raise


def _rotated(models: Sequence[Timed], number: int) -> list[Timed]:
    at = number % len(models)
    return [*models[at:], *models[:at]]


def _open(
    local: Transport, inputs: Mapping[str, Path], index: Path, preprocess: Preprocess,
    apart: Collection[str], models: Sequence[Timed], core: int | None, stack: contextlib.ExitStack,
) -> Mapping[str, RunnerSession]:  # fmt: skip
    groups: dict[tuple[object, ...], list[Timed]] = {}
    for model in models:
        own = (model.id,) if model.id in apart else ()
        groups.setdefault((*model.process, *own), []).append(model)
    sessions: dict[str, RunnerSession] = {}
    for group in groups.values():
        first = group[0]
        request = Request(
            mode="bench",
            models=tuple(RunnerModel(m.id, m.path) for m in group),
            inputs=first.inputs or inputs,
            preprocess=preprocess,
            runtime=first.runtime,
            index=index,
            signature=first.signature,
            delegate=first.delegate,
            threads=first.threads,
            core=_core_of(first, core) if first.threads == 1 else None,
            arena_bytes=first.arena,
            reset_state=first.stateful,
        )
        where: Transport = first.device or local
        session = where.open(request.to_json())
        stack.callback(session.close)
        sessions.update({m.id: session for m in group})
    return sessions


def _core_of(model: Timed, host: int | None) -> int | None:
    """The core that a model is timed on, where this host's launches have the core ``host``."""
    device = model.device
    return host if device is None or device.transport == "local" else device.core()


def _core() -> int | None:
    """The least busy core of those this process may use, where it can be kept on one."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return least_busy(psutil.cpu_percent(LOOK_SECONDS, percpu=True), os.sched_getaffinity(0))


def least_busy(busy: Sequence[float], allowed: Collection[int]) -> int:
    """The allowed core with the lowest load, the last of several; ``busy`` is in order of cores."""
    known = [core for core in allowed if core < len(busy)]
    return min(known, key=lambda core: (busy[core], -core)) if known else max(allowed)


def _time(
    models: Sequence[Timed], sessions: Mapping[str, RunnerSession], pace: Pace
) -> Mapping[str, list[list[int]]]:
    runs: dict[str, int] = {}
    for model in models:
        first = sessions[model.id].block(model.id, 0.0, 1)[0] / 1e9
        affordable = max(1, int(pace.patient_seconds / max(first, 1e-9)))
        runs[model.id] = min(pace.block_runs, affordable)
        warmup = min(pace.warmup_runs, affordable)
        sessions[model.id].block(model.id, pace.warmup_seconds, warmup)
    blocks: dict[str, list[list[int]]] = {model.id: [] for model in models}
    for turn in range(pace.blocks):
        for model in models if turn % 2 == 0 else list(reversed(models)):
            timed = sessions[model.id].block(model.id, pace.block_seconds, runs[model.id])
            blocks[model.id].append(timed)
    return blocks
