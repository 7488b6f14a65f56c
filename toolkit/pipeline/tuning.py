"""Fine-tuning by its strategy: in a process of its own, or in several, before the model is taken
from the state that they leave.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.compression import channel_stage, members, stage
from edgekit.errors import CompressionError
from edgekit.pipeline.run import Run
from edgekit.project.strategies import MULTI_WORKER, STRATEGIES
from edgekit.training import cluster
from edgekit.training.distribution.place import VARIABLE, Place
from edgekit.types import Advice, Json
from edgekit.worker import Worker

Tune = Callable[[Worker, Place], Mapping[str, Any]]
DEFAULT = "default"
INSTEAD = '[compress.finetune] strategy = "default" fine-tunes on one device'


def _strategy(run: Run) -> str:
    """Return the name of the strategy that this run's models are fine-tuned by, if they are."""
    stated = run.project.compress.finetune.strategy or run.project.train.strategy
    return stated if run.plan.fine_tunes else DEFAULT


def _several_devices(run: Run) -> bool:
    """Tell whether a process may fine-tune on several devices here."""
    return _strategy(run) == "mirrored" and run.project.train.replicas != 1


def check_strategy(run: Run) -> None:
    """Refuse a strategy that cannot fine-tune, before anything is trained; say of another than
    that of training.

    Raises :class:`CompressionError`.
    """
    name, stated = _strategy(run), run.project.compress.finetune.strategy
    if not STRATEGIES[name].recovers:
        message = f"[train] strategy = {name!r}: fine-tuning after compression cannot run by it"
        hint = f'{INSTEAD}, "mirrored" and "multi_worker" on several'
        raise CompressionError("EK-COMPRESS-029", message, hint)
    if name == MULTI_WORKER and os.environ.get(VARIABLE, "").strip():
        message = (
            f"{VARIABLE} names a cluster: fine-tuning after compression runs by {name!r} in"
            " processes of this machine alone"
        )
        raise CompressionError("EK-COMPRESS-030", message, f"unset {VARIABLE}; or {INSTEAD}")
    if stated == name != run.project.train.strategy:
        message = (
            f"fine-tuning after compression runs by strategy = {name!r}, as [compress.finetune]"
            f" says, and not by {run.project.train.strategy!r} of [train]"
        )
        run.advise(Advice("EK-NOTE-122", "info", message))


def scheme(
    run: Run,
    work: stage.SchemeJob,
    recovery: stage.RecoveryTraining | None,
    partial: Path,
    folder: Path,
) -> Mapping[str, Json]:
    """Apply a scheme, as :func:`stage.apply`, fine-tuned by the strategy of this run."""
    if recovery is None or _strategy(run) == DEFAULT:
        return run.worker.call(stage.apply, work, recovery, partial, folder)
    both = {"prune", "cluster"}
    if work.scheme in both <= {*run.project.compress.schemes} and _several_devices(run):
        clusters = run.project.compress.cluster
        run.worker.call(members.check_clusters, work.model, clusters)

    def tune(worker: Worker, place: Place) -> Mapping[str, Any]:
        return worker.call(members.tune_scheme, work, recovery, partial, place)

    said = _together(run, recovery, tune)
    left = replace(recovery, watching=None)
    return _with(run.worker.call(stage.apply, work, left, partial, folder), said)


def channels(
    run: Run,
    work: channel_stage.ChannelJob,
    recovery: stage.RecoveryTraining | None,
    partial: Path,
    folder: Path,
) -> Mapping[str, Json]:
    """Remove channels, as :func:`prune_channels`, fine-tuned by the strategy of this run."""
    if recovery is None or _strategy(run) == DEFAULT:
        return run.worker.call(channel_stage.prune_channels, work, recovery, partial, folder)
    plan = run.worker.call(channel_stage.plan_channels, work, recovery)

    def tune(worker: Worker, place: Place) -> Mapping[str, Any]:
        return worker.call(members.tune_channels, work, plan, recovery, partial, place)

    said = _together(run, recovery, tune)
    given = (work, replace(recovery, watching=None), partial, folder)
    return _with(run.worker.call(channel_stage.prune_channels, *given, planned=plan), said)


def _with(facts: Mapping[str, Json], said: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the facts of a scheme, with what its processes said while they trained."""
    return {**facts, "finetuned": {**facts["finetuned"], **said}}


def _together(run: Run, recovery: stage.RecoveryTraining, tune: Tune) -> Mapping[str, Json]:
    """Let all processes of a strategy ``tune``, and return what the first heard and noticed."""

    def processes(places: Sequence[Place]) -> list[cluster.Member]:
        return [_member(run, place, tune) for place in places]

    done = cluster.together(processes, recovery.finetuning.settings)
    for death in done.deaths:
        fix = "nothing: training went on from the last state; if it comes again, look at its memory"
        run.advise(Advice("EK-NOTE-130", "warning", death, fix))
    return {name: done.results[0][name] for name in ("alarms", "notices")}


def _member(run: Run, place: Place, tune: Tune) -> cluster.Member:
    log = run.folder / f"{place.task}-{place.index}.txt"
    addresses = [one for addresses in place.cluster.values() for one in addresses]
    ports = [int(address.rpartition(":")[2]) for address in addresses]

    def start() -> Worker:
        return run.beside(log, run.progress if place.chief else None, ports)

    return cluster.Member(place, log, start, lambda worker: tune(worker, place))
