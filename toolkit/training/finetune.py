"""Recover accuracy after compression: any loss and optimizer, a teacher, the best weights kept.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CompressionError
from edgekit.models.load import library
from edgekit.training import loop
from edgekit.training.feed import Aside, Feed, Training, Weights, division
from edgekit.training.progress import Report, progress_callback
from edgekit.training.seeds import seed_everything
from edgekit.usercode import is_reference, resolve, user_errors

Array = npt.NDArray[Any]
# One in so many training items is held out to choose the best epoch, up to a maximum.
HELD_OUT_SHARE = 20
HELD_OUT_MOST = 2000
# How many items tell what a model's outputs look like.
FEW = 64


@dataclass(frozen=True)
class Distillation:
    """Learn from a teacher's outputs as well.

    The loss is ``(1 - weight) * hard + weight * T**2 * KL(teacher, student)`` at temperature ``T``.
    Source: Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network".
    """

    temperature: float
    weight: float


@dataclass(frozen=True)
class Finetuning:
    """How a model is trained after a scheme was applied.

    ``loss`` is a name of Keras or ``file.py:function``; without it the labels and the outputs
    decide. ``patience`` epochs without a better score end the training; without it all epochs run.
    """

    epochs: int
    optimizer: str
    learning_rate: float
    loss: str | None = None
    patience: int | None = None
    distillation: Distillation | None = None


@dataclass(frozen=True)
class TrainingHooks:
    """What a scheme and a run add to training.

    ``score(labels, outputs)`` is higher for better outputs. ``settled`` is the step from which an
    epoch may be the best. ``callbacks`` are the scheme's. ``tensorboard`` is where logs go.
    """

    score: Callable[[Array, Array], float]
    settled: int = 0
    callbacks: tuple[Any, ...] = ()
    tensorboard: Path | None = None


def count_steps(training: Training, epochs: int) -> int:
    """Count the optimizer steps that :func:`finetune` takes at most."""
    kept, _ = division(training, _held_out(training.dataset.count, epochs))
    return -(-len(kept) // training.batch_size) * epochs


def finetune(
    model: Any,
    settings: Finetuning,
    training: Training,
    teacher: Any | None,
    aids: TrainingHooks,
    partial: Path,
    root: Path,
    progress: Report | None,
) -> dict[str, Any]:
    """Train a model, leave it with the best epoch's weights, and return what happened.

    Finished epochs and the best weights are kept in ``partial``, from where the same call resumes.
    Raises :class:`CompressionError` if a loss is needed and none can be derived.
    """
    seed_everything(training.seed)
    held_out = _held_out(training.dataset.count, settings.epochs)
    feed = Feed.of(model, training, held_out)
    y = training.dataset.open_labels()
    # Before the teacher's answers are put beside them.
    judged = np.asarray(feed.held_out_labels())
    loss = choose_loss(model, settings, y, feed.rows(np.arange(min(FEW, len(y))))[0], root)
    if settings.distillation is not None:
        targets, loss = _distilled(settings.distillation, teacher, training, model, y, loss)
        feed = Feed.of(model, training, held_out, targets)
    _compile(model, settings, loss, count_steps(training, settings.epochs))
    chosen = settings.epochs > 1 and len(feed.held_out) > 0
    choice = loop.Choice("score", True, settings.patience, aids.settled) if chosen else None
    callbacks = [
        *aids.callbacks,
        *([_score_callback(model, aids, feed.validation(), judged)] if chosen else []),
        *_tensorboard(model, aids.tensorboard),
        *([progress_callback(model, settings.epochs, progress)] if progress else []),
    ]
    # The schemes' callbacks count batches.
    at_once = 1 if aids.callbacks else loop.MOST_AT_ONCE
    saving = loop.Saving(partial / "states")
    with user_errors(settings.loss or "fine-tuning"):
        outcome = loop.run(model, feed, settings.epochs, saving, choice, callbacks, at_once)
    scores = [row["score"] for row in outcome.rows if "score" in row]
    best = {"scores": scores, "best_epoch": outcome.best_epoch} if chosen else {}
    return {"epochs": settings.epochs, **best}


def _held_out(count: int, epochs: int) -> int:
    """Count the items that choose the best epoch: none if there is only one to choose."""
    return min(count // HELD_OUT_SHARE, HELD_OUT_MOST) if epochs > 1 else 0


def _compile(model: Any, settings: Finetuning, loss: Any, steps: int) -> None:
    """Compile with a learning rate that falls to zero along a half cosine."""
    keras = library(model)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, max(steps, 1))
    try:
        optimizer = keras.optimizers.get(
            {"class_name": settings.optimizer, "config": {"learning_rate": rate}}
        )
    except (ValueError, TypeError) as error:
        hint = " ".join(str(error).split())[:200]
        message = (
            f"[compress.finetune] optimizer = {settings.optimizer!r} is not an optimizer of Keras"
        )
        raise CompressionError("EK-COMPRESS-013", message, hint) from error
    # XLA's depthwise convolutions on a CPU were measured at eight times TensorFlow's own.
    model.compile(optimizer, loss, jit_compile=False)


def choose_loss(model: Any, settings: Finetuning, y: Array, x: Any, root: Path) -> Any:
    """Return the configured loss, else the usual one for labels ``y`` and the outputs for ``x``.

    Raises :class:`CompressionError` if Keras has no such loss, or the model several outputs.
    """
    keras = library(model)
    if settings.loss is not None and is_reference(settings.loss):
        return resolve(settings.loss, root)
    if settings.loss is not None:
        try:
            return keras.losses.get(settings.loss)
        except ValueError as error:
            message = f"[compress.finetune] loss = {settings.loss!r} is not a loss of Keras"
            hint = "use one of Keras's, or your own: file.py:function(y_true, y_pred)"
            raise CompressionError("EK-COMPRESS-013", message, hint) from error
    if len(model.outputs) > 1:
        message = f"the model has {len(model.outputs)} outputs, and no loss is set"
        hint = 'set one for all with [compress.finetune] loss = "file.py:function", or leave out'
        raise CompressionError("EK-COMPRESS-005", message, hint + " the training data")
    return _usual_loss(keras, model, y, x)


def _usual_loss(keras: Any, model: Any, y: Array, x: Any) -> Any:
    """Choose the usual loss for the labels and the range of the model's outputs."""
    if y.dtype.kind not in "iub":
        return keras.losses.MeanSquaredError()
    answers = _predict(model, x)
    if answers.shape[-1] == 1:
        logits = bool((answers < 0).any() or (answers > 1).any())
        return keras.losses.BinaryCrossentropy(from_logits=logits)
    logits = not _is_probability(answers)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)


def _is_probability(answers: Array) -> bool:
    return bool((answers >= 0).all() and np.allclose(answers.sum(-1), 1.0, atol=1e-3))


def _predict(model: Any, x: Any) -> Array:
    answers = model.predict(x, verbose=0)
    return np.asarray(answers[0] if isinstance(answers, list) else answers)


def _distilled(
    settings: Distillation, teacher: Any, training: Training, model: Any, y: Array, hard: Any
) -> tuple[Array, Any]:
    """Return labels with the teacher's outputs beside them, and the loss that reads both."""
    import tensorflow as tf

    if teacher is None or len(model.outputs) > 1:
        message = "distillation takes a model of one output and its uncompressed original"
        raise CompressionError("EK-COMPRESS-005", message)
    plain = replace(training, aside=Aside(), weights=Weights(), augmentation=None)
    everything = Feed.of(teacher, plain, training.dataset.count).validation()
    soft = _predict(teacher, everything).reshape(len(y), -1).astype(np.float32)
    labels = y.reshape(len(y), -1).astype(np.float32)
    width, temperature = labels.shape[1], settings.temperature
    classes = y.dtype.kind in "iub" and soft.shape[1] > 1
    probable = _is_probability(soft)

    def logits(values: Any) -> Any:
        return tf.math.log(tf.maximum(values, 1e-7)) if probable else values

    def loss(y_true: Any, y_pred: Any) -> Any:
        teacher_outputs = tf.reshape(y_true[:, width:], tf.shape(y_pred))
        first = hard(y_true[:, :width], y_pred)
        if not classes:
            taught = tf.reduce_mean(tf.square(teacher_outputs - y_pred), axis=-1)
        else:
            right = tf.nn.softmax(logits(teacher_outputs) / temperature)
            ours = tf.nn.log_softmax(logits(y_pred) / temperature)
            taught = -(temperature**2) * tf.reduce_sum(right * ours, axis=-1)
        return (1 - settings.weight) * tf.reduce_mean(first) + settings.weight * tf.reduce_mean(
            taught
        )

    return np.concatenate([labels, soft], axis=1), loss


def _tensorboard(model: Any, folder: Path | None) -> list[Any]:
    if folder is None:
        return []
    return [library(model).callbacks.TensorBoard(str(folder), write_graph=False)]


def _score_callback(model: Any, aids: TrainingHooks, held_out: Any, y: Array) -> Any:
    class Scored(library(model).callbacks.Callback):  # type: ignore[misc]
        """Add the score on the held-out items to an epoch's figures."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs is not None:
                logs["score"] = float(aids.score(y, _predict(model, held_out)))

    return Scored()
