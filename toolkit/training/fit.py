"""Train the user's model, and export it. Runs in the worker."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgekit.data import LABELS
from edgekit.data.match import check_items
from edgekit.models.export import export_both
from edgekit.models.float32 import in_float32
from edgekit.models.inputs import inputs_of
from edgekit.models.load import build, is_keras3
from edgekit.project.train import TrainTable
from edgekit.store import write_text
from edgekit.training import loop, task_figures
from edgekit.training.augment import refuse_moving
from edgekit.training.compiling import compile_model, own_steps_at_once, recompile
from edgekit.training.contrastive import few_pairs
from edgekit.training.curves import curves
from edgekit.training.detectors import detector
from edgekit.training.distribution.scope import at_once, kind_of_step, prepared
from edgekit.training.distribution.team import team
from edgekit.training.eager import line_by_line
from edgekit.training.evidence import evidence
from edgekit.training.feed import Feed, Training, described
from edgekit.training.own_step import check_validation, stepping
from edgekit.training.precision import half_precision
from edgekit.training.progress import Report, progress_callback
from edgekit.training.rates import storable
from edgekit.training.retracing import noticed
from edgekit.training.seeds import deterministic, seed_everything
from edgekit.training.stages import Stage, freeze, stages_of, trainable_count
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.settings import Watching
from edgekit.usercode import user_errors

HISTORY, CURVES = "history.csv", "history.svg"
LINE_BY_LINE = "edgekit train --eager runs it line by line, and shows the shapes where it fails"


@dataclass(frozen=True)
class Job:
    """What a model is trained on and how, where its states go, and how it is watched."""

    root: Path
    training: Training
    settings: TrainTable
    states: Path
    watching: Watching | None


@dataclass(frozen=True)
class Fitted:
    """What came of a training: its task, if that was detected, and what each stage trained."""

    outcome: loop.Outcome = field(default_factory=lambda: loop.Outcome(()))
    task: str = ""
    stages: tuple[Mapping[str, Any], ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> Mapping[str, Any]:
        """The figures of the epoch whose weights are kept, and how the model was trained."""
        outcome = self.outcome
        return {
            "history": loop.figures(outcome),
            "trained": {
                "resumed": outcome.resumed,
                "notices": list(outcome.notices),
                "epochs": len(outcome.rows),
                "best_epoch": outcome.best_epoch,
                "task": self.task,
                "stages": list(self.stages),
                **self.evidence,
            },
        }


@dataclass(frozen=True)
class Additions:
    """What fine-tuning adds to a training.

    So many items are ``held_out`` where the training sets none aside. ``choice`` of the best epoch
    takes the place of the settings'. Callbacks come ``before`` all others, one step at a time, and
    after them those that are ``judging`` the model that is trained on a feed. ``changed`` returns
    the feed to train on once the model is compiled.
    """

    held_out: int = 0
    choice: loop.Choice | None = None
    before: tuple[Any, ...] = ()
    judging: Callable[[Any, Feed], Sequence[Any]] | None = None
    changed: Callable[[Feed], Feed] = lambda feed: feed


def train(
    source: str,
    root: Path,
    training: Training | None,
    partial: Path,
    folder: Path,
    settings: TrainTable | None = None,
    watching: Watching | None = None,
    arguments: Mapping[str, Any] | None = None,
    progress: Report | None = None,
    warn: Callable[[str], None] | None = None,
) -> Mapping[str, Any]:
    """Build the user's model, fit it, and write ``model.keras`` and its SavedModel to ``folder``,
    with ``history.csv``, a line an epoch, and ``history.svg``, its curves.

    Without ``training`` the model is as the user's function returns it. The state is kept in
    ``partial``, from where the same call resumes; ``warn`` is told of alarms at once. Returns the
    export's facts, as ``history`` the figures of the epoch whose weights are kept, how it was
    ``trained``, the ``alarms``, and as ``not_saved`` why there is no ``model.keras``, if so.
    """
    settings = settings or TrainTable()
    model = built(source, root, training, settings, arguments)
    items = described(training.dataset, training.preprocess) if training else None
    done, alarms, begin = Fitted(), Alarms(warn), time.monotonic()
    if training is not None:
        with (
            user_errors(source, "" if settings.eager else LINE_BY_LINE),
            line_by_line(settings.eager),
        ):
            job = Job(root, training, settings, partial / "states", watching)
            done = fit(model, job, alarms, progress)
        seconds = time.monotonic() - begin
        done = replace(done, evidence=evidence(training, len(done.outcome.rows), seconds))
        _write_history(folder, done.outcome, done.stages)
        model = in_float32(model) if settings.mixed_precision else model
    return {
        **export_both(model, folder, True, inputs=inputs_of(model, items)),
        **done.facts,
        "alarms": alarms.facts,
        "generation": "keras3" if is_keras3(model) else "keras2",
        "not_saved": _save(model, folder / "model.keras"),
    }


def _check_judged(model: Any, training: Training) -> None:
    """Refuse items to judge by that the model cannot take, before it is trained for them.

    Raises :class:`DataError`.
    """
    # A subclassed model knows its inputs from its first call on.
    if training.judged is None or not getattr(model, "inputs", None):
        return
    specs = inputs_of(model).specs
    # Labels or a column may be the input that lacks: that is found when the model is known.
    if len(specs) == 1 or {spec.name for spec in specs} <= training.judged.arrays.keys():
        check_items(training.judged, specs)


def _write_history(
    folder: Path, outcome: loop.Outcome, stages: Sequence[Mapping[str, Any]]
) -> None:
    write_text(folder / HISTORY, history(outcome.rows, stages))
    write_text(folder / CURVES, curves(outcome.rows))


def built(
    source: str,
    root: Path,
    training: Training | None,
    settings: TrainTable,
    arguments: Mapping[str, Any] | None = None,
) -> Any:
    """Build the user's model; one that is trained with seeds set, in the precision of training."""
    if training is not None:
        if settings.deterministic:
            deterministic()
        seed_everything(training.seed)
    with half_precision(settings.mixed_precision if training else None):
        return build(source, root, arguments)


def history(rows: Sequence[Mapping[str, float]], stages: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the figures of every epoch as CSV, with its stage where there are any."""
    numbers = [n for n, stage in enumerate(stages, 1) for _ in range(stage["epochs"])]
    of_stage = [{"stage": number} for number in numbers] or [{} for _ in rows]
    numbered: list[dict[str, float]] = [
        {"epoch": k, **stage, **row}
        for k, (stage, row) in enumerate(zip(of_stage, rows, strict=True), 1)
    ]
    text = io.StringIO()
    names = dict.fromkeys(name for row in numbered for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(numbered)
    return text.getvalue()


def fit(
    model: Any,
    job: Job,
    alarms: Alarms,
    progress: Report | None,
    more: Additions = Additions(),
) -> Fitted:
    """Compile and fit a model, stage by stage."""
    _check_judged(model, job.training)
    settings, original = job.settings, getattr(model, "optimizer", None)
    stages, outcome = stages_of(settings, job.training.epochs), loop.Outcome(())
    task, facts = "", []
    feed = Feed.of(model, job.training, more.held_out)
    trained, feed = detector(model, feed, settings)
    with stepping(trained, settings, job.root, kind_of_step()):
        for stage in stages:
            freeze(model, stage)
            if stage.number == 1:
                feed, task = compile_model(trained, feed, stage.settings, stage.epochs, job.root)
                _tell_task(task, job, feed, alarms)
            if stage.table is not None:
                recompile(trained, feed, stage.settings, stage.epochs, original)
            done = len(outcome.rows)
            last = done + sum(one.epochs for one in stages[stage.number - 1 :])
            judged = more.judging or partial(_judged, task, alarms)
            heard = [*more.before, *judged(trained, feed)]
            heard += [progress_callback(trained, last, progress, stage.label)] if progress else []
            outcome = _stage(trained, job, more, feed, stage, outcome, alarms, heard)
            facts.append(_facts(model, stage, done, len(outcome.rows)))
            if outcome.cut_short:
                break
    storable(trained.optimizer)
    return Fitted(outcome, task, tuple(facts) if settings.stage else ())


def _tell_task(task: str, job: Job, feed: Feed, alarms: Alarms) -> None:
    """Refuse random changes that move what labels say the place of, and tell of lonely items."""
    refuse_moving(job.training.augmentation, task)
    if task == "embeddings":
        labels = feed.columns.targets[LABELS].rows[feed.items]
        if (advice := few_pairs(labels, feed.batch_size)) is not None:
            alarms.add("batch", advice)


def _judged(task: str, alarms: Alarms, model: Any, feed: Feed) -> Sequence[Any]:
    """Build what judges each epoch by the task's metric, where that is of all items at once."""
    return task_figures.callbacks(model, task_figures.figure_of(task, feed.head), feed, alarms)


def _stage(
    model: Any,
    job: Job,
    more: Additions,
    plain: Feed,
    stage: Stage,
    before: loop.Outcome,
    alarms: Alarms,
    heard: list[Any],
) -> loop.Outcome:
    """Fit a compiled model for one stage, after what was before."""
    settings, begin = job.settings, len(before.rows)
    folder = job.states if stage.table is None else job.states / f"stage-{stage.number}"
    saving = loop.Saving(folder, settings.save_every, settings.keep_states)
    most = settings.steps_per_execution or own_steps_at_once(model) or loop.MOST_AT_ONCE
    # The callbacks of schemes count batches.
    one = more.before or settings.eager or model.run_eagerly
    most = 1 if one else at_once(model, most)
    feed = more.changed(plain)
    if len(feed.held_out):
        check_validation(model)
    choice = more.choice or _choice(settings)
    if job.watching is not None:
        from edgekit.training.watch.watched import watched

        steps = begin * feed.steps_per_epoch
        held = plain.validation()
        restored = choice is not None and choice.restored
        watching = job.watching.naming(job.training.dataset.class_names)
        feed, watch = watched(model, feed, watching, alarms, held, steps, restored)
        heard = [*heard, *watch]
    epochs = begin + stage.epochs
    with noticed(alarms) as retracing, prepared(model, feed, settings) as feed:
        # A coordinator's batches are not told of, nor is what is traced for them.
        heard = [*heard, retracing.callback(model)] if team().in_step else heard
        validation = feed.validation()
        after = loop.run(model, feed, epochs, saving, choice, heard, most, validation, before)
    return replace(
        after,
        resumed=after.resumed or before.resumed,
        notices=before.notices + after.notices,
    )


def _facts(model: Any, stage: Stage, done: int, epochs: int) -> dict[str, Any]:
    trained, weights = trainable_count(model)
    return {
        "name": stage.table.name if stage.table else "",
        "epochs": epochs - done,
        "trained": trained,
        "weights": weights,
    }


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
