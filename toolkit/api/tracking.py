"""Runs, versions and aliases in MLflow, where ``[record]`` of a project names one.

Nothing here fails a run: what cannot be recorded is said in a warning, and what cannot be sent is
kept in the outbox.
"""

from __future__ import annotations

import csv
import datetime
import getpass
import logging
import math
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import history
from edgekit.errors import EdgekitError, RecordError
from edgekit.project import Project
from edgekit.record import Registry, Version
from edgekit.record.mlflow import Delivery, Entry, Measured, deliver, keep, place_of, runs
from edgekit.report import read
from edgekit.types import BenchReport, Report

if TYPE_CHECKING:
    # Who registers or promotes takes nothing of the stages of a run.
    from edgekit.pipeline import ModelFiles

__all__ = ["record_bench", "record_run", "record_training", "record_version", "sync", "who"]

LOG = logging.getLogger("edgekit")
# A run does not wait for long; whoever asks for nothing but sending has the time that it takes.
SYNC_SECONDS = 3600.0
# A stage, and the file with a line for each epoch that it leaves.
TRAINED, HISTORY = "train", "history.csv"


@dataclass(frozen=True)
class _Kept:
    """An entry, and what goes with it: files and texts by their path among the artefacts."""

    entry: Entry
    files: Mapping[str, Path]
    texts: Mapping[str, str] = field(default_factory=dict)


def record_run(project: Project, report: Report, run: Path, command: str) -> None:
    """Record a conversion or a compression, whose folder is ``run``."""

    def made(experiment: str) -> _Kept:
        return _of_run(project, report, run, command, experiment)

    _record(project, str(report.model["name"]), made, _output_of(run))


def record_bench(project: Project, report: BenchReport, run: Path) -> None:
    """Record a bench, whose folder is ``run``."""

    def made(experiment: str) -> _Kept:
        files = {name: run / name for name in ("bench.json", "report.html")}
        return _Kept(runs.of_bench(report, experiment, _origin(project, "bench")), files)

    _record(project, project.model.name or report.rows[0].id, made, _output_of(run))


def record_training(project: Project, done: ModelFiles, output: Path | None) -> None:
    """Record a training, unless its model was in the store already: then it was recorded before.

    Of the processes of a cluster, the one that leaves the model does.
    """
    new = any(stage.name == TRAINED and not stage.cached for stage in done.stages)
    if not (new and done.files):
        return

    def made(experiment: str) -> _Kept:
        stated = project.train.model_dump(mode="json", exclude_unset=True)
        return _training(done, experiment, _origin(project, TRAINED), stated)

    _record(project, done.name, made, output)


def record_version(
    project: Project | None, place: Registry, version: Version, alias: str = ""
) -> None:
    """Record a registered version, and the alias that it took."""
    if project is None:
        return

    def made(experiment: str) -> _Kept:
        folder = place.folder(version)
        report = read(folder)
        origin = runs.Origin("registry add", version.by, version.commit)
        entry = runs.of_report(report, experiment, origin)
        texts = {runs.LINEAGE: runs.lineage_text(report, version.commit)}
        files = runs.version_files(version, folder)
        return _Kept(runs.as_version(entry, version, alias), files, texts)

    _record(project, version.model, made)


def sync(project: Project, reports: Sequence[Path] = (), output: Path | None = None) -> Delivery:
    """Send what is in the outbox to MLflow, with finished runs that are named: once more, or late.

    ``output`` is the folder that runs were written to, if not the project's. Raises
    :class:`RecordError` where the project names no MLflow, and :class:`ProjectError` for a report
    that is not one.
    """
    place = place_of(project, project.model.name or "edgekit", output)
    if place is None:
        hint = "[record] mlflow = true, or the address of a server"
        raise RecordError("EK-RECORD-010", "the project names no MLflow to send to", hint)
    for path in reports:
        folder = path if path.is_dir() else path.parent
        report = read(path)
        command = "convert" if report.targets else "compress"
        kept = _of_run(project, report, folder.resolve(), command, place.experiment)
        keep(place.outbox, kept.entry, kept.files, kept.texts)
    return deliver(place, SYNC_SECONDS)


def who(folder: Path) -> str:
    """Return who works here: as git knows them, else the name of their account."""
    known = history.author(folder if folder.is_dir() else Path.cwd())
    if known:
        return known
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _record(
    project: Project, model: str, made: Callable[[str], _Kept], output: Path | None = None
) -> None:
    """Keep an entry, and send the outbox; say in one warning what is not sent, and why."""
    place = place_of(project, model, output)
    if place is None:
        return
    try:
        kept = made(place.experiment)
        keep(place.outbox, kept.entry, kept.files, kept.texts)
        done = deliver(place)
    except Exception as error:
        # Whatever it is, the run itself is done, and is worth more.
        reason = error.message if isinstance(error, EdgekitError) else error
        text = "warning EK-RECORD-012: nothing of this is recorded in MLflow: %s"
        LOG.warning(text, reason)
        return
    if done.kept:
        said = "warning EK-RECORD-011: %d of %d records did not reach MLflow at %s: %s; kept in %s"
        LOG.warning(
            f"{said}, and sent with the next run or by `edgekit registry sync`",
            done.kept,
            done.kept + len(done.sent),
            place.title,
            done.why,
            place.outbox,
        )
    elif done.lost:
        said = "warning EK-RECORD-013: MLflow did not get %s: changed since the run"
        LOG.warning(said, ", ".join(done.lost))


def _output_of(run: Path) -> Path:
    """Return the folder that a run was written to, whose ``.edgekit/runs`` has it."""
    return run.parents[2]


def _of_run(project: Project, report: Report, run: Path, command: str, experiment: str) -> _Kept:
    """Return the entry of a run, with the model that was trained for it where there is one."""
    origin = _origin(project, command)
    entry = runs.of_report(report, experiment, origin)
    files = runs.run_files(report, run)
    if report.settings.get("training"):
        built = _output_of(run) / "build" / str(report.model["name"])
        files |= {f"training/{name}": built / name for name in ("model.keras", HISTORY)}
        entry = replace(entry, metrics=(*entry.metrics, *_by_epoch(built / HISTORY)))
    return _Kept(entry, files, {runs.LINEAGE: runs.lineage_text(report, origin.commit)})


def _origin(project: Project, command: str) -> runs.Origin:
    return runs.Origin(command, who(project.root), history.commit_of(project.root))


def _training(
    done: ModelFiles, experiment: str, origin: runs.Origin, stated: Mapping[str, Any]
) -> _Kept:
    """Return the entry of a training: what was set, its figures by epoch, and its model."""
    seconds = sum(stage.seconds for stage in done.stages)
    started = datetime.datetime.now() - datetime.timedelta(seconds=seconds)
    name = f"{started:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    facts = dict(done.training)
    facts.pop("hardware", None)
    data = facts.pop("data", {})
    settings = {"training": facts, "train": stated, "model": done.name}
    figures = [
        *(Measured(f"kept/{name}", value) for name, value in done.figures.items()),
        *(_by_epoch(done.files[HISTORY]) if HISTORY in done.files else ()),
    ]
    finite = tuple(one for one in figures if math.isfinite(one.value))
    entry = runs.of_training(name, experiment, origin, settings, finite, data, seconds)
    return _Kept(entry, {f"training/{name}": path for name, path in done.files.items()})


def _by_epoch(path: Path) -> Iterator[Measured]:
    """Yield the figures of a training's epochs, a step each."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            step = int(row.pop("epoch"))
            row.pop("stage", None)
            for name, text in row.items():
                if text:
                    yield Measured(f"epoch/{name}", float(text), step)
