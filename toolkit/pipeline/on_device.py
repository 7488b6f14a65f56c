"""The on-device stage: candidates answered and timed on the device that a target names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from edgekit.decoding import decode
from edgekit.errors import DeviceError, DeviceNameError, EdgekitError, RunnerError
from edgekit.gate import may_ship, own_device
from edgekit.pipeline import stage_results
from edgekit.pipeline.answers import elsewhere, timed
from edgekit.pipeline.estimates import as_estimates
from edgekit.pipeline.items import Items
from edgekit.pipeline.judge import output_of
from edgekit.pipeline.locked_files import locked_files
from edgekit.pipeline.matrix import execute
from edgekit.pipeline.run import Run
from edgekit.pipeline.side_by_side import key_of, latency_budgets, time_models
from edgekit.pipeline.timed_launches import keep_samples, note_samples
from edgekit.project import TargetTable
from edgekit.targets.devices import Device
from edgekit.types import Candidate, Json, Latency, OnDevice, RuntimeResult, SavedModel, Status


def measure_on_devices(
    run: Run, reference: SavedModel, candidates: Sequence[Candidate], items: Items
) -> Mapping[str, tuple[OnDevice, ...]]:
    """Measure on each target's own device the candidates that it may ship.

    A device that is away, or that cannot run a candidate, is not an error but a result that says
    so. Raises :class:`DeviceNameError`.
    """
    named = {
        name: device
        for name, table in run.plan.targets.items()
        if (device := own_device(name, table))
    }
    if not named or not run.plan.options.evaluate:
        return {}
    output = output_of(reference, items)
    results: dict[str, tuple[OnDevice, ...]] = {}
    for name, device in named.items():
        table = run.plan.targets[name]
        shippable = [c for c in candidates if c.path and not c.problem and may_ship(name, table, c)]
        with run.stage(f"on {device}") as stage:
            results[name] = _measured(run, device, shippable, output, items, table)
            stage.result = stage_results.on_device(results[name])
    return results


def _measured(
    run: Run,
    name: str,
    candidates: Sequence[Candidate],
    output: str,
    items: Items,
    table: TargetTable,
) -> tuple[OnDevice, ...]:
    try:
        device = run.devices.open(name)
        facts = device.facts()
        results = {c.id: _tried(run, device, c, output, items) for c in candidates}
        able = [c for c in candidates if results[c.id].status is Status.PASSED]
        latencies = _timed(run, name, device, able, items, table) if able else {}
    except DeviceNameError:
        raise
    except DeviceError as error:
        run.note(False)
        reason = _reason(error)
        return tuple(OnDevice(c.id, name, "", "", Status.UNAVAILABLE, reason) for c in candidates)
    estimates = str(facts.get("estimates", ""))
    return tuple(
        OnDevice(
            c.id,
            name,
            device.runtime,
            results[c.id].version or device.version,
            results[c.id].status,
            results[c.id].message,
            results[c.id].items,
            results[c.id].disagreement,
            as_estimates(latencies.get(c.id), estimates),
            estimates,
            facts,
        )
        for c in candidates
    )


def _tried(
    run: Run, device: Device, candidate: Candidate, output: str, items: Items
) -> RuntimeResult:
    """Check whether the device answers the first items as the judging runtime does."""
    parts = {"on": device.name, "machine": elsewhere(device), "release": device.version}
    return execute(run, device, candidate, device.runtime, device.version, output, items, **parts)


def _timed(
    run: Run,
    name: str,
    device: Device,
    candidates: Sequence[Candidate],
    items: Items,
    table: TargetTable,
) -> Mapping[str, Latency]:
    """Time candidates side by side on the device, in turns over fresh launches."""
    sides = [
        dataclasses.replace(timed(c, items, device.runtime), device=device) for c in candidates
    ]
    most = run.plan.options.max_latency
    stated = {} if most is None else {"latency_p50": most}
    budgets = latency_budgets([table.budgets.model_copy(update=stated)])
    locked = locked_files(run, name, candidates, items, device.runtime)
    there = [dataclasses.replace(side, device=device) for side in locked.sides]
    locked = dataclasses.replace(locked, sides=tuple(there))
    key = run.key(
        device=dict(device.facts()),
        candidates=[[c.id, c.sha256, c.signature] for c in candidates],
        **items.key,
        **key_of(budgets, locked),
    )

    def make(folder: Path) -> Mapping[str, Json]:
        timings = time_models(run, device, sides, items, budgets, locked)
        keep_samples(timings, folder)
        return {name: asdict(locked.latency(timings, name)) for name in timings.names}

    try:
        kept = run.obtain("on-device latency", key, make)
    except RunnerError:
        run.note(False)
        return {}
    note_samples(run, kept, name)
    return {name: decode(one, Latency) for name, one in kept.facts.items()}


def _reason(error: EdgekitError) -> str:
    hint = error.hint.splitlines()[0] if error.hint else ""
    return error.message + (f": {hint}" if hint else "")
