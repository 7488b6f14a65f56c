"""The tensor arena of a candidate, where a target of the run is a microcontroller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from edgekit.errors import DeviceError, RunnerError
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.targets import catalog
from edgekit.targets.devices import Transport
from edgekit.targets.devices.arena import RUNTIME, arena
from edgekit.targets.runners import DISTRIBUTION
from edgekit.types import Candidate, Json, Measurement, Request, Status

NOT_ASKED = "no target of the run has TFLM, which alone has an arena"

# TFLM's portable kernels are many times slower than LiteRT's: a large model answers as many
# items as fit in these seconds, and at least so many.
SECONDS = 20.0
LEAST = 16


def affordable(device: Transport, request: Request, count: int) -> int:
    """Decide how many of ``count`` items a runtime runs: TFLM's first item is timed for it."""
    if request.runtime != RUNTIME:
        return count
    (first,) = device.run(replace(request, items=(0, 1)))["models"].values()
    return min(count, max(LEAST, int(SECONDS * 1e9 / max(first["first_ns"], 1))))


def with_arena(run: Run, candidate: Candidate, items: Items) -> Candidate:
    """Measure the smallest tensor arena of a candidate, where a target has TFLM."""
    memory, path = candidate.evaluation.memory, candidate.path
    if memory is None or path is None or candidate.problem:
        return candidate
    measured = _measured(run, candidate, path, items)
    evaluation = replace(candidate.evaluation, memory=replace(memory, arena=measured))
    return replace(candidate, evaluation=evaluation)


def _measured(run: Run, candidate: Candidate, path: Path, items: Items) -> Measurement:
    named = {one.name for target in run.plan.targets for one in catalog.load(target).runtimes}
    if RUNTIME not in named:
        return Measurement.unavailable("byte", NOT_ASKED)
    for result in candidate.evaluation.runtimes:
        if result.runtime == RUNTIME and result.status is not Status.PASSED:
            return Measurement.unavailable("byte", f"TFLM does not run it: {result.message}")
    key = run.key(
        DISTRIBUTION[RUNTIME],
        mode="arena",
        candidate=candidate.sha256,
        **items.key,
        **({"signature": candidate.signature} if candidate.signature else {}),
    )

    def make(_: Path) -> Mapping[str, Json]:
        search = arena(
            run.device,
            path,
            items.inputs,
            items.index_path,
            items.preprocess,
            candidate.signature,
            items.states,
        )
        return asdict(search.smallest)

    try:
        return Measurement(**run.obtain("arena", key, make).facts)
    except (DeviceError, RunnerError) as error:
        run.note(False)
        return Measurement.unavailable("byte", f"{error.message}: {error.hint}".rstrip(": "))
