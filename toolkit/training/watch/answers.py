"""What a model answers for fixed items, and what its last layer makes that of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.training.watch.batch import Batch
from edgekit.training.watch.steps import layers_of, observed

Array = npt.NDArray[Any]
AT_ONCE = 32
# Wider ones are averaged over their positions.
WIDEST = 2048


@dataclass(frozen=True)
class Answers:
    """Outputs ``[n, ...]``, absent where the model has several, and embeddings ``[n, width]``.

    ``layer`` is the one whose output the embeddings are, empty where there is none.
    """

    outputs: Array | None
    embeddings: Array | None
    layer: str


class Answering:
    """A model's forward pass as a ``tf.function`` that also returns what enters its last layer.

    AutoGraph converts the model's Python, and none of this: that took longer than all else of a
    first answer.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self._model = model
        self._layer = ""
        self._seen: list[tuple[Any, Any]] = []
        finished = tf.autograph.experimental.do_not_convert(self._finished)
        self._run = tf.function(lambda x: finished(model(x, training=False)))

    def __call__(self, batch: Batch) -> Answers:
        """Answer a batch, a few items at a time."""
        self._seen = []
        with observed(layers_of(self._model), lambda *one: self._seen.append(one)):
            answered = [
                self._run(batch.part(at, at + AT_ONCE).x) for at in range(0, len(batch), AT_ONCE)
            ]
        outputs = (
            None if answered[0][0] is None else np.concatenate([o.numpy() for o, _ in answered])
        )
        entered = [inner.numpy() for _, inner in answered if inner is not None]
        return Answers(outputs, np.concatenate(entered) if entered else None, self._layer)

    def _finished(self, answer: Any) -> Any:
        import tensorflow as tf

        seen, self._seen = self._seen, []
        outputs = tf.nest.flatten(answer)
        last = max((at for at, (layer, _) in enumerate(seen) if layer.weights), default=0)
        inner = None
        if last and isinstance(seen[last - 1][1], tf.Tensor):
            layer, inner = seen[last - 1]
            self._layer = layer.name
            inner = tf.cast(inner, tf.float32)
            while inner.shape.rank > 2 and (inner.shape[1:].num_elements() or WIDEST + 1) > WIDEST:
                inner = tf.reduce_mean(inner, axis=1)
            inner = tf.reshape(inner, (tf.shape(inner)[0], -1))
        return (tf.cast(outputs[0], tf.float32) if len(outputs) == 1 else None), inner


def probabilities(outputs: Array, labels: Array) -> Array | None:
    """Return probabilities ``[n, classes]`` of one class an item, or None where there are no such.

    Labels are class numbers ``[n]`` or ``[n, 1]``, or one-hot ``[n, classes]``.
    """
    if outputs.ndim != 2 or labels.shape[0] != outputs.shape[0]:
        return None
    if outputs.shape[1] == 1:
        within = outputs.min() >= 0 and outputs.max() <= 1
        one = outputs if within else 1 / (1 + np.exp(-outputs))
        return np.concatenate([1 - one, one], axis=1) if classes(labels) is not None else None
    if classes(labels) is None:
        return None
    if outputs.min() >= 0 and np.allclose(outputs.sum(1), 1, atol=1e-3):
        return outputs
    shifted = np.exp(outputs - outputs.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


def classes(labels: Array) -> Array | None:
    """Return the class of each item, where labels are classes."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        one_hot = bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())
        return labels.argmax(1) if one_hot else None
    flat = labels.reshape(len(labels), -1)
    whole = flat.shape[1] == 1 and bool((flat == np.round(flat)).all() and (flat >= 0).all())
    return flat[:, 0].astype(int) if whole else None
