"""Learn from a teacher's answers too: they are computed batch by batch, in the pipeline.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import CompressionError
from edgekit.models.load import library
from edgekit.training.defaults import is_probability
from edgekit.training.feed import Feed

# How many items tell what the teacher's answers look like.
FEW = 64


@dataclass(frozen=True)
class Distillation:
    """Learn from a teacher's outputs as well.

    The loss is ``(1 - weight) * hard + weight * T**2 * KL(teacher, student)`` at temperature ``T``.
    Source: Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network".
    """

    temperature: float
    weight: float


def distilled(model: Any, feed: Feed, settings: Distillation, teacher: Any | None) -> Feed:
    """Compile a compiled model again, to learn from a teacher too; return the feed of both.

    The teacher answers the items as the model sees them, augmented ones too. Raises
    :class:`CompressionError` where there is no teacher, or a model of several outputs.
    """
    import tensorflow as tf

    if teacher is None or len(model.outputs) > 1 or (feed.head and len(feed.head.names) > 1):
        message = "distillation takes a model of one output and its uncompressed original"
        raise CompressionError("EK-COMPRESS-005", message)
    x, y = feed.rows(feed.items[:FEW])
    label, answers = np.asarray(y), np.asarray(_first(teacher(x, training=False)))
    joint = _joint_loss(_hard_loss(model), settings, label, answers)
    config = dict(model._compile_config.config)
    # Metrics of labels cannot read what holds the teacher's answers, too: with None in place of no
    # metrics, Keras 3 would keep those of before.
    none: dict[str, Any] = {"metrics": [], "weighted_metrics": []}
    config |= {"optimizer": model.optimizer, "loss": joint, **none}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.compile(**{key: value for key, value in config.items() if value is not None})
    answer = tf.function(lambda x: _first(teacher(x, training=False)), reduce_retracing=True)
    return _with_answers(feed, answer)


def _hard_loss(model: Any) -> Callable[[Any, Any], Any]:
    """Return the loss that a model is compiled with, by item: items may weigh differently."""
    found: Any = library(model).losses.get(model.loss)
    by_item: Callable[[Any, Any], Any] = found.call if hasattr(found, "call") else found
    return by_item


def _first(answers: Any) -> Any:
    import tensorflow as tf

    return tf.nest.flatten(answers)[0]


def _joint_loss(
    hard: Callable[[Any, Any], Any], settings: Distillation, labels: Any, answers: Any
) -> Callable[[Any, Any], Any]:
    """Return the loss of rows that hold labels and a teacher's answers, side by side."""
    import tensorflow as tf

    shape, width = labels.shape[1:], int(np.prod(labels.shape[1:]))
    temperature = settings.temperature
    classes = answers.shape[-1] > 1 and (labels.dtype.kind in "iub" or is_probability(answers))
    probable = is_probability(answers)

    def logits(values: Any) -> Any:
        return tf.math.log(tf.maximum(values, 1e-7)) if probable else values

    def loss(y_true: Any, y_pred: Any) -> Any:
        teacher_outputs = tf.reshape(y_true[:, width:], tf.shape(y_pred))
        first = _by_item(hard(tf.reshape(y_true[:, :width], (-1, *shape)), y_pred))
        if not classes:
            taught = tf.reduce_mean(tf.square(teacher_outputs - y_pred), axis=-1)
        else:
            right = tf.nn.softmax(logits(teacher_outputs) / temperature)
            ours = tf.nn.log_softmax(logits(y_pred) / temperature)
            taught = -(temperature**2) * tf.reduce_sum(right * ours, axis=-1)
        return (1 - settings.weight) * first + settings.weight * _by_item(taught)

    return loss


def _by_item(values: Any) -> Any:
    """Return the mean of each item's values ``[n, ...]``; what is one number stays one."""
    import tensorflow as tf

    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank or 0)))


def _with_answers(feed: Feed, answer: Callable[[Any], Any]) -> Feed:
    import tensorflow as tf

    def rows(values: Any) -> Any:
        flat = tf.reshape(values, (tf.shape(values)[0], int(np.prod(values.shape[1:]))))
        return tf.cast(flat, tf.float32)

    def joined(x: Any, y: Any, *weights: Any) -> Any:
        return (x, tf.concat([rows(y), rows(answer(x))], axis=1), *weights)

    class Taught(type(feed)):  # type: ignore[misc]
        """The same feed, with the teacher's answers beside the labels, also of parts of batches."""

        def _read(self, *which: Any) -> Any:
            return super()._read(*which).map(joined).prefetch(tf.data.AUTOTUNE)

    taught: Feed = Taught(**{one.name: getattr(feed, one.name) for one in dataclasses.fields(feed)})
    return taught
