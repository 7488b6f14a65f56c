"""Training on texts: strings as token numbers, and the CTC loss. Runs in the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError
from edgekit.evaluation.texts import TextReader

Array = npt.NDArray[Any]
PADDING = -1
# Below it a probability is not an answer, but an underflow.
LEAST = 1e-7


def numbered(texts: Sequence[str] | Array, reader: TextReader, source: str) -> Array:
    """Return the token numbers ``[n, length]`` of texts, int32, padded with -1.

    Where several tokens fit, the longest is taken. Raises :class:`DataError`, EK-DATA-067, that
    names a text which no tokens of the alphabet spell.
    """
    numbers = {token: number for number, token in enumerate(reader.tokens) if token}
    sizes = sorted({len(token) for token in numbers}, reverse=True)
    rows = [_row(str(text), numbers, sizes, source, item) for item, text in enumerate(texts)]
    padded = np.full((len(rows), max(map(len, rows), default=0)), PADDING, np.int32)
    for row, own in zip(padded, rows, strict=True):
        row[: len(own)] = own
    return padded


def _row(
    text: str, numbers: dict[str, int], sizes: Sequence[int], source: str, item: int
) -> list[int]:
    row, at = [], 0
    while at < len(text):
        size = next((size for size in sizes if text[at : at + size] in numbers), 0)
        if not size:
            message = f"{source}: the alphabet has no {text[at]!r}, which item {item} has: {text!r}"
            hint = "add it to [evaluate.text] alphabet, which has a token per output, or mend it"
            raise DataError("EK-DATA-067", message, hint)
        row.append(numbers[text[at : at + size]])
        at += size
    return row


def ctc(blank: int, probabilities: bool) -> Callable[[Any, Any], Any]:
    """Return the CTC loss of token numbers ``[n, length]`` and outputs ``[n, steps, tokens]``.

    Outputs are logits or log-probabilities, which it treats alike, unless they are
    ``probabilities``. Numbers below 0, and the ``blank``, are padding. Where a label has more
    tokens than there are steps, no path spells it, and its loss is infinite. Source: Graves et al.
    (2006), "Connectionist temporal classification", ICML.
    """
    import tensorflow as tf

    def ctc_loss(y_true: Any, y_pred: Any) -> Any:
        labels = tf.cast(y_true, tf.int32)
        counted = (labels >= 0) & (labels != blank)
        lengths = tf.reduce_sum(tf.cast(counted, tf.int32), axis=1)
        scores = tf.cast(y_pred, tf.float32)
        scores = tf.math.log(tf.maximum(scores, LEAST)) if probabilities else scores
        steps = tf.fill([tf.shape(scores)[0]], tf.shape(scores)[1])
        # Dense labels are taken from the left, and no number of them may be negative.
        order = tf.argsort(tf.cast(~counted, tf.int32), axis=1, stable=True)
        packed = tf.gather(tf.where(counted, labels, 0), order, batch_dims=1)
        return tf.nn.ctc_loss(
            packed, scores, lengths, steps, logits_time_major=False, blank_index=blank
        )

    return ctc_loss
