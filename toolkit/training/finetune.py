"""Recover accuracy after compression: in the loop of any training, with a teacher and a score.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CompressionError, DataError, ProjectError
from edgekit.models.load import library
from edgekit.project.compress import FinetuneTable
from edgekit.project.train import EarlyStoppingTable, ScheduleTable, TrainTable
from edgekit.training import detectors, loop
from edgekit.training.compiling import usual_loss
from edgekit.training.distillation import Distillation, distilled
from edgekit.training.distribution.team import team
from edgekit.training.feed import Feed, Training, division
from edgekit.training.fit import Additions, Job, fit
from edgekit.training.progress import Report
from edgekit.training.seeds import seed_everything
from edgekit.training.task_figures import callbacks, figure_of, tell_absent
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.settings import Watching
from edgekit.usercode import user_errors

Array = npt.NDArray[Any]
# One in so many training items is held out to choose the best epoch, up to a maximum.
HELD_OUT_SHARE = 20
HELD_OUT_MOST = 2000
SCORE = "score"
# How a strategy is spread, where fine-tuning is by the training's own.
SPREAD = ("workers", "replicas", "tpu")
# What holds for fine-tuning as for training. Averaged weights would have no zeros, and no clusters.
SHARED = (
    "clip_norm", "deterministic", "save_every", "keep_states", "steps_per_execution", "tensorboard"
)  # fmt: skip


@dataclass(frozen=True)
class Finetuning:
    """How a model is trained after a scheme was applied: as any, and by a teacher, if any."""

    settings: TrainTable
    distillation: Distillation | None = None

    @property
    def epochs(self) -> int:
        """How long it is trained."""
        return self.settings.epochs


@dataclass(frozen=True)
class TrainingHooks:
    """What a scheme and a run add to training.

    ``score(labels, outputs)`` is higher for better outputs. ``settled`` is the step from which an
    epoch may be the best. ``callbacks`` are the scheme's, ``watching`` how the training is watched.
    """

    score: Callable[[Array, Array], float]
    settled: int = 0
    callbacks: tuple[Any, ...] = ()
    watching: Watching | None = None


def finetuning(
    table: FinetuneTable, train: TrainTable, epochs: int, learning_rate: float
) -> Finetuning:
    """Return how ``[compress.finetune]`` trains, with what holds of ``[train]``.

    The learning rate falls to zero along a half cosine; ``learning_rate`` is where it begins where
    the table says none.
    """
    rate = ScheduleTable(schedule="cosine", start=table.learning_rate or learning_rate)
    strategy = table.strategy or train.strategy
    shared = SHARED if strategy != train.strategy else (*SHARED, *SPREAD)
    settings = TrainTable(
        **{name: getattr(train, name) for name in shared},
        strategy=strategy,
        epochs=epochs,
        optimizer=table.optimizer,
        learning_rate=rate,
        loss=table.loss or (train.loss if isinstance(train.loss, str) else None),
        best=SCORE,
        early_stopping=EarlyStoppingTable(patience=table.patience) if table.patience else None,
    )
    distill = table.distill
    return Finetuning(
        settings, Distillation(distill.temperature, distill.weight) if distill else None
    )


def count_steps(training: Training, epochs: int) -> int:
    """Count the optimizer steps that :func:`finetune` takes at most."""
    kept, _ = division(training, _held_out(training.dataset.count, epochs))
    return -(-len(kept) // training.batch_size) * epochs


def finetune(
    model: Any,
    tuning: Finetuning,
    training: Training,
    teacher: Any | None,
    hooks: TrainingHooks,
    partial: Path,
    root: Path,
    progress: Report | None,
    warn: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train a model, leave it with the best epoch's weights, and return what happened.

    The state is kept in ``partial``, from where the same call resumes. ``warn`` is told of alarms
    at once. Raises :class:`CompressionError` if a loss is needed and none can be derived.
    """
    seed_everything(training.seed)
    settings, taught = tuning.settings, tuning.distillation
    held_out = _held_out(training.dataset.count, settings.epochs)

    def scored(trained: Any, feed: Feed) -> list[Any]:
        if not chosen:
            return []
        if feed.head is not None:
            return callbacks(trained, figure_of(detectors.TASK, feed.head, SCORE), feed, alarms)
        return [_score_callback(model, hooks.score, feed, partial, alarms)]

    def changed(feed: Feed) -> Feed:
        return feed if taught is None else distilled(model, feed, taught, teacher)

    chosen = settings.epochs > 1 and len(division(training, held_out)[1]) > 0
    patience = settings.early_stopping.patience if settings.early_stopping else None
    if not chosen:
        settings = settings.model_copy(update={"best": None, "early_stopping": None})
    additions = Additions(
        held_out=held_out,
        choice=loop.Choice(SCORE, True, patience, hooks.settled) if chosen else None,
        before=hooks.callbacks,
        judging=scored,
        changed=changed,
    )
    alarms = Alarms(warn)
    job = Job(root, training, settings, partial / "states", hooks.watching)
    named = settings.loss if isinstance(settings.loss, str) else None
    with user_errors(named or "fine-tuning"), loss_errors():
        outcome = fit(model, job, alarms, progress, additions).outcome
    scores = [row[SCORE] for row in outcome.rows if SCORE in row]
    best = {"scores": scores, "best_epoch": outcome.best_epoch} if chosen else {}
    said = {"alarms": alarms.facts, "notices": list(outcome.notices)}
    return {"epochs": settings.epochs, **said, **best}


@contextmanager
def loss_errors() -> Iterator[None]:
    """Raise what is wrong with an optimizer or a loss as errors of ``[compress.finetune]``."""
    try:
        yield
    except ProjectError as error:
        message, hint = (
            text.replace("[train]", "[compress.finetune]") for text in (error.message, error.hint)
        )
        if error.code == "EK-TRAIN-001":
            raise CompressionError("EK-COMPRESS-013", message, hint) from error
        if error.code == "EK-TRAIN-002":
            hint = (
                'set one with [compress.finetune] loss = "file.py:function", or leave out the'
                " training data"
            )
            raise CompressionError("EK-COMPRESS-005", message, hint) from error
        raise


def choose_loss(model: Any, tuning: Finetuning, feed: Feed, root: Path) -> tuple[Feed, Any]:
    """Return the configured loss of one output, else the usual one, and the feed of its labels.

    Raises :class:`CompressionError` if Keras has no such loss, or the model several outputs.
    """
    with loss_errors():
        feed, loss = usual_loss(model, feed, tuning.settings.loss, root)
    if isinstance(loss, dict):
        message = f"the model has {len(loss)} outputs, and no loss is set"
        hint = 'set one for all with [compress.finetune] loss = "file.py:function"'
        raise CompressionError("EK-COMPRESS-005", message, hint)
    return feed, loss


def _held_out(count: int, epochs: int) -> int:
    """Count the items that choose the best epoch: none if there is only one to choose."""
    return min(count // HELD_OUT_SHARE, HELD_OUT_MOST) if epochs > 1 else 0


def _score_callback(
    model: Any,
    score: Callable[[Array, Array], float],
    feed: Feed,
    folder: Path,
    alarms: Alarms,
) -> Any:
    import tensorflow as tf

    held: Any = feed.validation()
    answer = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    count = len(feed.held_out)
    folder.mkdir(parents=True, exist_ok=True)
    together = team()
    told = (batch[1] for batch in held) if together.chief else iter(())
    labels = _written(folder / "labels.npy", count, told)

    class Scored(library(model).callbacks.Callback):  # type: ignore[misc]
        """Add the score on the held-out items to an epoch's figures."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs is None:
                return
            outputs = (answer(batch[0]) for batch in held)
            if together.chief:
                answers = _written(folder / "answers.npy", count, outputs)
            else:
                # Averages of variables are computed by all workers, whoever reads them.
                deque(outputs, maxlen=0)

            def judged() -> float:
                try:
                    return float(score(labels, answers))
                except DataError as error:
                    # Too few items, say, for any to have another of its kind.
                    tell_absent(alarms, SCORE, error)
                    return float("nan")

            logs[SCORE] = together.shared(judged)

    return Scored()


def _written(path: Path, count: int, batches: Iterator[Any]) -> Array:
    """Write batches of the first output to a file of ``count`` rows, and map it."""
    import tensorflow as tf

    open_file: Any = np.lib.format.open_memmap
    rows: Array = np.zeros(0)
    at = 0
    for batch in batches:
        values = np.asarray(tf.nest.flatten(batch)[0])
        rows = rows if at else open_file(path, "w+", values.dtype, (count, *values.shape[1:]))
        rows[at : at + len(values)] = values
        at += len(values)
    return rows
