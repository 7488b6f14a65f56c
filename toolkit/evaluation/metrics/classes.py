"""Labels as class numbers, and outputs as scores per class: logits or probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgekit.errors import DataError

from .metric import Array, Floats, Index, rows_at_once

CODE = "EK-DATA-012"
# Probabilities below this count as this: the bound that scikit-learn's log_loss has in float32.
EPSILON = float(np.finfo(np.float32).eps)
# A runtime's softmax may round a probability to 1.0000001, which makes it no logit.
ROUNDING = 1e-3


@dataclass(frozen=True)
class ClassScores:
    """Outputs ``[n, classes]``, or ``[n, 1]`` of one sigmoid: ``logits``, or probabilities.

    Integers ``[n, 1]`` are the classes answered themselves, of ``numbers`` classes.
    """

    outputs: Array
    logits: bool
    numbers: int = 0

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, items: Index) -> ClassScores:
        return ClassScores(self.outputs[items], self.logits, self.numbers)

    @property
    def count(self) -> int:
        """How many classes: at least two."""
        return max(2, self.numbers or self.outputs.shape[1])

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Yield outputs in float64, some items at a time."""
        rows = rows_at_once(self.outputs.shape[1:])
        for at in range(0, len(self.outputs), rows):
            block = slice(at, at + rows)
            yield block, np.asarray(self.outputs[block], np.float64)

    def answered(self) -> Index:
        """Return the class with the largest score; of one sigmoid, class 1 above a probability
        of 0.5.
        """
        if self.numbers:
            return np.asarray(self.outputs[:, 0], np.int64)
        classes = np.empty(len(self), np.int64)
        for block, scores in self.blocks():
            single = scores.shape[1] == 1
            cut = 0.0 if self.logits else 0.5
            classes[block] = scores[:, 0] > cut if single else np.argmax(scores, axis=1)
        return classes

    def probabilities(self) -> Iterator[tuple[slice, Floats]]:
        """Yield probabilities ``[rows, classes]`` whose rows sum to 1, some items at a time.

        Logits go through a softmax, or a sigmoid. Probabilities are divided by their sum, which is
        not 1 where a softmax was quantized. Raises :class:`DataError` of class numbers.
        """
        self.refuse_numbers()
        for block, scores in self.blocks():
            if scores.shape[1] == 1:
                yield block, _of_one(scores[:, 0], self.logits)
            elif self.logits:
                powers = np.exp(scores - scores.max(axis=1, keepdims=True))
                yield block, powers / powers.sum(axis=1, keepdims=True)
            else:
                shares = np.clip(scores, 0.0, 1.0)
                total = shares.sum(axis=1, keepdims=True)
                # Of a row of zeros nothing is known.
                even = np.full_like(shares, 1 / shares.shape[1])
                yield block, np.divide(shares, total, out=even, where=total > 0)

    def ranked_by(self) -> Floats:
        """Return the scores ``[n, classes]`` by which the items of each class are ranked.

        Of two classes only the second, ``[n, 1]``. Probabilities stay as they are, so that items
        that a quantized softmax ties stay tied. Raises :class:`DataError` of class numbers.
        """
        self.refuse_numbers()
        width = self.outputs.shape[1]
        rows = np.empty((len(self), width if width > 2 else 1))
        for block, scores in self.blocks():
            if width > 2 and self.logits:
                shifted = scores - scores.max(axis=1, keepdims=True)
                rows[block] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            elif width == 2:
                rows[block] = scores[:, 1:] - scores[:, :1]
            else:
                rows[block] = scores
        return rows

    def refuse_numbers(self) -> None:
        """Raise :class:`DataError` where there are class numbers, and no scores."""
        if self.numbers:
            message = "the model gives class numbers: it has no score for the other classes"
            hint = "accuracy, precision, recall and f1 need none; or leave argmax out of the model"
            raise DataError(CODE, message, hint)


def _of_one(column: Floats, logits: bool) -> Floats:
    if logits:
        # Neither power overflows, and each side is exact where it is small.
        pair = np.stack([np.logaddexp(0, column), np.logaddexp(0, -column)], axis=1)
        return np.asarray(np.exp(-pair))
    share = np.clip(column, 0.0, 1.0)
    return np.stack([1 - share, share], axis=1)


def read(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Index, list[ClassScores]]:
    """Return class numbers ``[n]``, and every model's scores.

    The scores are logits where any of any model's lies outside 0..1: two models that are compared
    are read alike, and a part of the items as the whole. Raises :class:`DataError` where labels or
    outputs are not classes, or do not fit each other.
    """
    flat = [_flat(scores) for scores in outputs]
    labels = true_class(y_true)
    numbers = [scores for scores in flat if _are_numbers(scores)]
    count = max(
        [2, *(int(scores.max(initial=0)) + 1 for scores in numbers), int(labels.max(initial=0)) + 1]
    )
    for scores in flat:
        _check(name, labels, count if _are_numbers(scores) else max(2, scores.shape[1]))
    logits = any(has_logits(scores) for scores in flat if not _are_numbers(scores))
    return labels, [
        ClassScores(scores, logits, count if _are_numbers(scores) else 0) for scores in flat
    ]


def _are_numbers(flat: Array) -> bool:
    """Tell whether outputs ``[n, values]`` are class numbers themselves."""
    return flat.shape[1] == 1 and flat.dtype.kind in "iu"


def has_logits(outputs: Array) -> bool:
    """Tell whether any value lies outside 0..1, by more than rounding."""
    rows = rows_at_once(outputs.shape[1:])
    blocks = (np.asarray(outputs[at : at + rows]) for at in range(0, len(outputs), rows))
    ends = [(block.min(), block.max()) for block in blocks if block.size]
    return any(low < -ROUNDING or high > 1 + ROUNDING for low, high in ends)


def predicted_class(y_pred: Array) -> Index:
    """Return class numbers ``[n]`` of scores ``[n, classes]``; ``[n, 1]`` is one sigmoid.

    A single column is cut at 0.5, or at 0 where any value lies outside 0..1 (logits): give it all
    items. Integers are class numbers already. Raises :class:`DataError` where an item has more than
    one row of scores.
    """
    flat = _flat(y_pred)
    if _are_numbers(flat):
        return np.asarray(flat[:, 0], np.int64)
    return ClassScores(flat, has_logits(flat)).answered()


def true_class(y_true: Array) -> Index:
    """Return class numbers ``[n]`` of labels ``[n]``, ``[n, 1]`` or one-hot ``[n, classes]``.

    Raises :class:`DataError` where labels are not whole numbers, or an item has several classes.
    """
    labels = np.asarray(y_true).reshape(len(y_true), -1)
    if labels.shape[1] > 1:
        several = (labels == labels.max(axis=1, keepdims=True)).sum(axis=1) > 1
        if several.any():
            message = f"the labels of item {int(np.argmax(several))} name no single class"
            hint = "write the metric you need: --metric file.py:function"
            raise DataError(CODE, message, hint)
        return np.asarray(np.argmax(labels, axis=1), np.int64)
    numbers = labels[:, 0]
    if numbers.dtype.kind not in "iubf" or not (np.rint(numbers) == numbers).all():
        hint = "labels are class numbers from 0; for other targets there are mse, mae and r2"
        raise DataError(CODE, f"labels of dtype {numbers.dtype} are not class numbers", hint)
    return numbers.astype(np.int64)


def _flat(outputs: Array) -> Array:
    if sum(size > 1 for size in outputs.shape[1:]) > 1:
        message = f"outputs are {list(outputs.shape)}; this metric takes one class per item"
        raise DataError(CODE, message, "write the metric you need: --metric file.py:function")
    return outputs.reshape(len(outputs), -1)


def _check(name: str, labels: Index, count: int) -> None:
    if len(labels) and (labels.min() < 0 or labels.max() >= count):
        message = f"labels are {labels.min()} to {labels.max()}, the model has {count} classes"
        hint = "labels count from 0: is this the data that the model was made for?"
        raise DataError(CODE, f"{name}: {message}", hint)
