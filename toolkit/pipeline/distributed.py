"""A training by its strategy: in this process's worker, in several processes here, or as one of a
cluster.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.pipeline.run import Run
from edgekit.project.strategies import PARAMETER_SERVER, STRATEGIES
from edgekit.training import cluster
from edgekit.training.distribution.place import CHIEF, VARIABLE, Place, read
from edgekit.training.feed import Training
from edgekit.training.fit import train
from edgekit.training.members import serve_member, train_member
from edgekit.training.watch.settings import Watching
from edgekit.types import Advice
from edgekit.worker import Worker


def trained(
    run: Run, data: Training | None, partial: Path, folder: Path, watched: Watching | None
) -> Mapping[str, Any]:
    """Train the project's model into ``folder``, by its strategy, and return the facts of it."""
    table, source, root = run.project.train, run.project.model.source, run.project.root
    spread = data is not None and table.strategy != "default"
    begin = time.monotonic()
    of_workers = _spread(run, data, partial, watched) if spread and data is not None else {}
    alarms = of_workers.pop("alarms", ())
    seconds = {"seconds": round(time.monotonic() - begin, 3)} if spread else {}
    # After that there is no step left: it takes the last state, and exports the model.
    watched = None if spread else watched
    arguments = run.project.model.arguments
    facts = run.free.call(train, source, root, data, partial, folder, table, watched, arguments)
    trained = {**facts["trained"], **of_workers, **seconds}
    return {**facts, "alarms": [*facts["alarms"], *alarms], "trained": trained}


def place_here(run: Run) -> Place:
    """Return this process's place in a cluster, as the environment says; alone without one."""
    strategy = STRATEGIES[run.project.train.strategy]
    return read(os.environ.get(VARIABLE, "")) if strategy.task else Place()


def part(run: Run, data: Training, partial: Path, watched: Watching | None) -> Mapping[str, Any]:
    """Be the process of a cluster that the environment says, and export nothing."""
    strategy = STRATEGIES[run.project.train.strategy]
    member = _member(run, data, partial, place_here(run), watched if strategy.watched else None)
    return cluster.alone(member)


def _spread(run: Run, data: Training, partial: Path, watched: Watching | None) -> dict[str, Any]:
    """Fit the model by its strategy, and return how that went."""
    table = run.project.train
    if untested := STRATEGIES[table.strategy].untested:
        message = f"strategy = {table.strategy!r} is untested: {untested}"
        run.advise(
            Advice("EK-NOTE-132", "warning", message, "compare what it comes to with 'default'")
        )
    here = place_here(run)
    watched = watched if STRATEGIES[table.strategy].watched else None
    if here.cluster:
        return _facts([part(run, data, partial, watched)])

    def members(places: Sequence[Place]) -> list[cluster.Member]:
        return [_member(run, data, partial, place, watched) for place in places]

    done = cluster.together(members, table)
    for death in done.deaths:
        fix = "nothing: training went on from the last state; if it comes again, look at its memory"
        run.advise(Advice("EK-NOTE-130", "warning", death, fix))
    return _facts(done.results)


def _facts(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kept = ("resumed", "notices", "task", "alarms")
    return {name: results[0][name] for name in kept}


def _member(
    run: Run, data: Training, partial: Path, place: Place, watched: Watching | None
) -> cluster.Member:
    table, source, root = run.project.train, run.project.model.source, run.project.root
    log = run.folder / f"{place.task}-{place.index}.txt"
    serves = table.strategy == PARAMETER_SERVER and place.task != CHIEF

    def start() -> Worker:
        return Worker(log, run.progress if place.chief else None, run.limits)

    def work(worker: Worker) -> Mapping[str, Any]:
        if serves:
            worker.call(serve_member, place)
            return {}
        arguments = run.project.model.arguments
        given = (source, root, data, partial, table, place, arguments)
        return worker.call(train_member, *given, watching=watched)

    return cluster.Member(place, log, start, work, serves)
