"""Models of a run timed in turns on one device, until their latency budgets are decided."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from edgekit.errors import RunnerError
from edgekit.evaluation.latency import REFERENCE, Timed, TimingInputs, Timings, time_side_by_side
from edgekit.evaluation.protocol import SIDE_BY_SIDE, Protocol, TimingJob
from edgekit.gate import decides_latency, decides_ratio, ratio_limits
from edgekit.pipeline.items import Items
from edgekit.pipeline.locked_files import LockedFiles
from edgekit.pipeline.run import Run
from edgekit.project import Budgets
from edgekit.targets.devices.transport import Transport
from edgekit.types import Json

NO_FILES = LockedFiles()


def latency_budgets(budgets: Iterable[Budgets]) -> tuple[Budgets, ...]:
    """Collect the budgets that limit a latency, or its ratio to the reference's."""
    return tuple(
        each
        for each in budgets
        if (each.latency_p50, each.latency_p95) != (None, None) or ratio_limits(each)
    )


def protocol_of(budgets: Sequence[Budgets], locked: LockedFiles = NO_FILES) -> Protocol:
    """Choose how long to time: the fewest launches that bound a ratio, more for what is judged."""
    if budgets or locked.ids:
        return SIDE_BY_SIDE
    return replace(SIDE_BY_SIDE, max_launches=SIDE_BY_SIDE.launches)


def key_of(budgets: Sequence[Budgets], locked: LockedFiles = NO_FILES) -> Mapping[str, Json]:
    """Build the part of a store key for the timing, besides models, items and device."""
    limits = [[each.latency_p50, each.latency_p95, *ratio_limits(each)] for each in budgets]
    return {"protocol": asdict(protocol_of(budgets, locked)), "limits": limits, **locked.key}


def inputs_of(items: Items) -> TimingInputs:
    """Return the items that models are timed on."""
    return TimingInputs(items.inputs, items.index_path, items.preprocess)


def time_models(
    run: Run,
    device: Transport,
    sides: Sequence[Timed],
    items: Items,
    budgets: Sequence[Budgets],
    locked: LockedFiles = NO_FILES,
) -> Timings:
    """Time models in turns, files of the lock among them; raises what the device and its runners
    raise.

    Where they cannot be timed together, as where a file of the lock takes other inputs, the models
    are timed without those.
    """
    early = run.early.job if run.early else None
    if locked.sides:
        with contextlib.suppress(RunnerError):
            return _timed(run, device, (*sides, *locked.sides), items, budgets, locked, early)
        early = None
    return _timed(run, device, sides, items, budgets, locked, early)


def _timed(
    run: Run,
    device: Transport,
    sides: Sequence[Timed],
    items: Items,
    budgets: Sequence[Budgets],
    locked: LockedFiles,
    early: TimingJob | None,
) -> Timings:
    ours = [side.id for side in sides if side not in locked.sides]
    candidates = [name for name in ours if name != REFERENCE]

    def decided(timings: Timings) -> bool:
        latencies = {name: timings.latency(name) for name in candidates}
        return locked.decided(timings, candidates) and all(
            decides_latency(latency, budget)
            and (
                not ratio_limits(budget)
                or decides_ratio(timings.ratio(name), latency.noise, budget)
            )
            for name, latency in latencies.items()
            for budget in budgets
        )

    return time_side_by_side(
        sides,
        inputs_of(items),
        local=device,
        progress=run.progress.update,
        protocol=protocol_of(budgets, locked),
        noise=bool(budgets or locked.ids),
        decided=decided if budgets or locked.ids else None,
        early=early,
    )
