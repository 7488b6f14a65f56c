"""Recover accuracy after compression: any loss and optimizer, a teacher, the best weights kept.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CompressionError
from edgekit.models.load import library
from edgekit.training.feed import Training
from edgekit.training.fit import (
    Report,
    backup,
    items,
    progress_callback,
    seed_everything,
)
from edgekit.usercode import is_reference, resolve, user_errors

Array = npt.NDArray[Any]
# One in so many training items is held out to choose the best epoch, up to a maximum.
HELD_OUT_SHARE = 20
HELD_OUT_MOST = 2000
PREDICT_BATCH = 256


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
    count = len(training.dataset.open_labels())
    kept = count - _held_out(count, epochs)
    return -(-kept // training.batch_size) * epochs


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
    x, y = items(model, training)
    held_out = _held_out(len(y), settings.epochs)
    order = np.random.default_rng(training.seed).permutation(len(y))
    validation, kept = np.sort(order[:held_out]), np.sort(order[held_out:])
    loss = choose_loss(model, settings, y, x, root)
    targets: Any = y
    if settings.distillation is not None:
        targets, loss = _distilled(settings.distillation, teacher, model, x, y, loss)
    _compile(model, settings, loss, count_steps(training, settings.epochs))
    best = _best_callback(
        model, aids, select(x, validation), y[validation], settings.patience, partial
    )
    callbacks = [
        backup(model, partial),
        *aids.callbacks,
        *([best] if held_out else []),
        *_tensorboard(model, aids.tensorboard),
        *([progress_callback(model, settings.epochs, progress)] if progress else []),
    ]
    with user_errors(settings.loss or "fine-tuning"):
        model.fit(
            select(x, kept),
            targets[kept],
            epochs=settings.epochs,
            verbose=0,
            shuffle=True,
            batch_size=training.batch_size,
            callbacks=callbacks,
        )
    return {"epochs": settings.epochs, **(best.restore() if held_out else {})}


def _held_out(count: int, epochs: int) -> int:
    """Count the items that choose the best epoch: none if there is only one to choose."""
    return min(count // HELD_OUT_SHARE, HELD_OUT_MOST) if epochs > 1 else 0


def select(x: Any, index: Array) -> Any:
    """Select items of a model's inputs: an array, or a list or mapping of arrays."""
    if isinstance(x, Mapping):
        return {name: array[index] for name, array in x.items()}
    return [array[index] for array in x] if isinstance(x, (list, tuple)) else x[index]


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
    """Return the configured loss, else the usual one for labels ``y`` and the model's outputs.

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
    answers = _predict(model, select(x, np.arange(min(len(y), 64))))
    if answers.shape[-1] == 1:
        logits = bool((answers < 0).any() or (answers > 1).any())
        return keras.losses.BinaryCrossentropy(from_logits=logits)
    logits = not _is_probability(answers)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)


def _is_probability(answers: Array) -> bool:
    return bool((answers >= 0).all() and np.allclose(answers.sum(-1), 1.0, atol=1e-3))


def _predict(model: Any, x: Any) -> Array:
    answers = model.predict(x, batch_size=PREDICT_BATCH, verbose=0)
    return np.asarray(answers[0] if isinstance(answers, list) else answers)


def _distilled(
    settings: Distillation, teacher: Any, model: Any, x: Any, y: Array, hard: Any
) -> tuple[Array, Any]:
    """Return labels with the teacher's outputs beside them, and the loss that reads both."""
    import tensorflow as tf

    if teacher is None or len(model.outputs) > 1:
        message = "distillation takes a model of one output and its uncompressed original"
        raise CompressionError("EK-COMPRESS-005", message)
    soft = _predict(teacher, x).reshape(len(y), -1).astype(np.float32)
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


def _best_callback(
    model: Any, aids: TrainingHooks, x: Any, y: Array, patience: int | None, partial: Path
) -> Any:
    class Best(library(model).callbacks.Callback):  # type: ignore[misc]
        """Keep the weights of the epoch with the best score on the held-out items."""

        state, weights = partial / "best.json", partial / "best.npz"

        def __init__(self) -> None:
            super().__init__()
            self._steps = 0
            self._progress: dict[str, Any] = {"scores": [], "best": None, "epoch": None}
            if self.state.is_file() and self.weights.is_file():
                self._progress = json.loads(self.state.read_text())

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            steps = (epoch + 1) * int(self.params.get("steps") or 1)
            score = float(aids.score(y, _predict(model, x)))
            if logs is not None:
                logs["score"] = score
            state = self._progress
            state["scores"] = [*state["scores"][:epoch], score]
            if steps < aids.settled:
                return
            if state["best"] is None or score > state["best"]:
                state.update(best=score, epoch=epoch + 1)
                np.savez(self.weights, *model.get_weights())
            self.state.write_text(json.dumps(state))
            if patience is not None and epoch + 1 - state["epoch"] >= patience:
                model.stop_training = True

        def restore(self) -> dict[str, Any]:
            """Give the model its best weights; return the scores by epoch, and the best epoch."""
            if self._progress["epoch"] is not None:
                with np.load(self.weights) as found:
                    model.set_weights([found[f"arr_{k}"] for k in range(len(found.files))])
            return {"scores": self._progress["scores"], "best_epoch": self._progress["epoch"]}

    return Best()
