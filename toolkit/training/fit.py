"""Train the user's model, and export it. Runs in the worker."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import ModelError
from edgekit.models.export import export_both
from edgekit.models.inputs import inputs_of
from edgekit.models.load import build, is_keras3
from edgekit.project.train import TrainTable
from edgekit.store import write_text
from edgekit.training import loop
from edgekit.training.feed import Feed, Training, described
from edgekit.training.progress import Report, progress_callback
from edgekit.training.seeds import deterministic, seed_everything
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.settings import Watching
from edgekit.usercode import user_errors

HISTORY = "history.csv"


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
    at once. Returns the export's facts, the last epoch's figures as ``history``, how it was
    ``trained``, the ``alarms``, and as ``not_saved`` why a subclassed model left no
    ``model.keras``, if so.
    """
    settings = settings or TrainTable()
    if training is not None:
        if settings.deterministic:
            deterministic()
        seed_everything(training.seed)
    model = build(source, root)
    items = described(training.dataset, training.preprocess) if training else None
    outcome, alarms = loop.Outcome(()), Alarms(warn)
    if training is not None:
        with user_errors(source):
            outcome = _fitted(
                _compiled(model, source), training, settings, partial, watching, alarms, progress
            )
        write_text(folder / HISTORY, history(outcome.rows))
    facts = dict(export_both(model, folder, True, inputs=inputs_of(model, items)))
    return {
        **facts,
        "history": dict(outcome.rows[-1]) if outcome.rows else {},
        "trained": {"resumed": outcome.resumed, "notices": list(outcome.notices)},
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


def _compiled(model: Any, source: str) -> Any:
    if getattr(model, "optimizer", None) is None:
        hint = "return a compiled model: model.compile(optimizer, loss, metrics)"
        raise ModelError("EK-MODEL-012", f"{source} returned a model not compiled", hint)
    return model


def _fitted(
    model: Any,
    training: Training,
    settings: TrainTable,
    partial: Path,
    watching: Watching | None,
    alarms: Alarms,
    progress: Report | None,
) -> loop.Outcome:
    heard = [progress_callback(model, training.epochs, progress)] if progress else []
    saving = loop.Saving(partial / "states", settings.save_every, settings.keep_states)
    feed = Feed.of(model, training)
    validation = feed.validation()
    if watching is not None:
        from edgekit.training.watch.watched import watched

        feed, more = watched(model, feed, watching, alarms)
        heard += more
    return loop.run(model, feed, training.epochs, saving, callbacks=heard, validation=validation)


def _save(model: Any, path: Path) -> str:
    """Save a model as ``.keras``, and say why it cannot be; its SavedModel counts."""
    try:
        model.save(path)
    except (NotImplementedError, TypeError, ValueError) as error:
        path.unlink(missing_ok=True)
        return " ".join(str(error).split())[:300]
    return ""
