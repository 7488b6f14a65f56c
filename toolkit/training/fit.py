"""Train the user's model, and export it. Runs in the worker."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.models.export import export_both
from edgekit.models.float32 import in_float32
from edgekit.models.inputs import inputs_of
from edgekit.models.load import build, is_keras3
from edgekit.project.train import TrainTable
from edgekit.store import write_text
from edgekit.training import loop
from edgekit.training.compiling import compile_model
from edgekit.training.feed import Feed, Training, described
from edgekit.training.precision import half_precision
from edgekit.training.progress import Report, progress_callback
from edgekit.training.rates import storable
from edgekit.training.seeds import deterministic, seed_everything
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.settings import Watching
from edgekit.usercode import user_errors

HISTORY = "history.csv"


@dataclass(frozen=True)
class Job:
    """What a model is trained on and how, where its states go, and how it is watched."""

    root: Path
    training: Training
    settings: TrainTable
    states: Path
    watching: Watching | None


def train(
    source: str,
    root: Path,
    training: Training | None,
    partial: Path,
    folder: Path,
    settings: TrainTable | None = None,
    watching: Watching | None = None,
    progress: Report | None = None,
    warn: Callable[[str], None] | None = None,
) -> Mapping[str, Any]:
    """Build the user's model, fit it, and write ``model.keras`` and its SavedModel to ``folder``,
    with ``history.csv``, a line an epoch.

    Without ``training`` the model is taken as the user's function returns it. The state is kept in
    ``partial``, from where the same call resumes. Where it is watched, ``warn`` is told of alarms
    at once. Returns the export's facts, as ``history`` the figures of the epoch whose weights are
    kept, how it was ``trained``, the ``alarms``, and as ``not_saved`` why a subclassed model left
    no ``model.keras``, if so.
    """
    settings = settings or TrainTable()
    if training is not None:
        if settings.deterministic:
            deterministic()
        seed_everything(training.seed)
    with half_precision(settings.mixed_precision if training else None):
        model = build(source, root)
    items = described(training.dataset, training.preprocess) if training else None
    outcome, task, alarms = loop.Outcome(()), "", Alarms(warn)
    if training is not None:
        with user_errors(source):
            job = Job(root, training, settings, partial / "states", watching)
            outcome, task = _fitted(model, job, alarms, progress)
        write_text(folder / HISTORY, history(outcome.rows))
        if settings.mixed_precision:
            model = in_float32(model)
    return {
        **export_both(model, folder, True, inputs=inputs_of(model, items)),
        "history": dict(outcome.rows[(outcome.best_epoch or 0) - 1]) if outcome.rows else {},
        "trained": {
            "resumed": outcome.resumed,
            "notices": list(outcome.notices),
            "epochs": len(outcome.rows),
            "best_epoch": outcome.best_epoch,
            "task": task,
        },
        "alarms": alarms.facts,
        "generation": "keras3" if is_keras3(model) else "keras2",
        "not_saved": _save(model, folder / "model.keras"),
    }


def history(rows: Sequence[Mapping[str, float]]) -> str:
    """Return the figures of every epoch as CSV."""
    numbered: list[dict[str, float]] = [{"epoch": k, **row} for k, row in enumerate(rows, 1)]
    text = io.StringIO()
    names = dict.fromkeys(name for row in numbered for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(numbered)
    return text.getvalue()


def _fitted(
    model: Any, job: Job, alarms: Alarms, progress: Report | None
) -> tuple[loop.Outcome, str]:
    """Compile and fit a model; return what came of it, and its task if that was detected."""
    epochs, settings = job.training.epochs, job.settings
    heard = [progress_callback(model, epochs, progress)] if progress else []
    saving = loop.Saving(job.states, settings.save_every, settings.keep_states)
    at_once = settings.steps_per_execution or loop.MOST_AT_ONCE
    feed, task = compile_model(model, Feed.of(model, job.training), settings, epochs, job.root)
    choice, validation = _choice(settings), feed.validation()
    if job.watching is not None:
        from edgekit.training.watch.watched import watched

        feed, more = watched(model, feed, job.watching, alarms)
        heard += more
    outcome = loop.run(model, feed, epochs, saving, choice, heard, at_once, validation)
    storable(model.optimizer)
    return outcome, task


def _choice(settings: TrainTable) -> loop.Choice | None:
    if settings.figure is None:
        return None
    patience = settings.early_stopping.patience if settings.early_stopping else None
    return loop.Choice(settings.figure, settings.higher, patience)


def _save(model: Any, path: Path) -> str:
    """Save a model as ``.keras``, and say why it cannot be; its SavedModel counts."""
    try:
        model.save(path)
    except (NotImplementedError, TypeError, ValueError) as error:
        path.unlink(missing_ok=True)
        return " ".join(str(error).split())[:300]
    return ""
