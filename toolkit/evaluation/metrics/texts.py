"""Metrics of texts: the edits that make an answer of its label, counted by jiwer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import DataError, ProjectError
from edgekit.evaluation.texts import is_private

from .classes import CODE
from .metric import Array, Index, Statistic, Undefined


@dataclass(frozen=True)
class Edits:
    """Of each utterance the edits, how many words or characters its label has, and both texts."""

    edits: Index
    sizes: Index
    answers: Array

    def __len__(self) -> int:
        return len(self.edits)

    def __getitem__(self, items: Index) -> Edits:
        return Edits(self.edits[items], self.sizes[items], self.answers[items])


def words(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Array, list[Edits]]:
    """Return the label of each item ``[n]``, and every model's edits of words.

    Raises :class:`DataError` where labels or answers are not texts, or have no words.
    """
    _refuse_others(name, y_true, outputs)
    if is_private(y_true):
        hint = "name the tokens: --alphabet 'abc ' or FILE; or take cer, which counts tokens"
        raise DataError(CODE, f"{name}: without an alphabet there are no words", hint)
    return y_true, [_counted(name, "process_words", y_true, texts) for texts in outputs]


def characters(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Array, list[Edits]]:
    """Return the label of each item ``[n]``, and every model's edits of characters.

    Raises :class:`DataError` where labels or answers are not texts.
    """
    _refuse_others(name, y_true, outputs)
    return y_true, [_counted(name, "process_characters", y_true, texts) for texts in outputs]


def _refuse_others(name: str, y_true: Array, outputs: tuple[Array, ...]) -> None:
    """Raise :class:`DataError` where labels or answers are not texts."""
    for texts, whose in ((y_true, "labels"), *((texts, "answers") for texts in outputs)):
        if texts.dtype.kind != "U" or texts.shape != (len(texts),):
            message = (
                f"{name}: {whose} are {texts.dtype} {list(texts.shape)}, not one text per item"
            )
            raise DataError(CODE, message, "say that they are texts: --task text")


def _counted(name: str, function: str, labels: Array, answers: Array) -> Edits:
    try:
        import jiwer
    except ImportError as error:
        hint = "install it: pip install 'edgekit[text]'"
        message = f"{name} needs jiwer, which is not installed"
        raise ProjectError("EK-PROJECT-045", message, hint) from error
    align = getattr(jiwer, function)
    alignment: Any = align([str(text) for text in labels], [str(text) for text in answers])
    edits = [sum(_length(chunk) for chunk in row) for row in alignment.alignments]
    return Edits(
        np.array(edits, np.int64),
        np.array([len(text) for text in alignment.references]),
        np.asarray(answers),
    )


def _length(chunk: Any) -> int:
    """Count the edits of a chunk of an alignment."""
    if chunk.type == "equal":
        return 0
    return int(
        max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
    )


def error_rate(labels: Array, edits: Edits) -> Statistic:
    """Compute ``Σ edits / Σ words`` (or characters) over utterances, which are the items."""
    del labels
    if not edits.sizes.any():
        raise Undefined("every label is empty, and errors are counted per word of the labels")

    def value(items: Index) -> float:
        total = edits.sizes[items].sum()
        return float(edits.edits[items].sum() / total) if total else float("nan")

    return value
