"""What a task is detected from: the labels, and an output's shape, dtype and last activation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError
from edgekit.types import TensorSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TaskEvidence:
    """Labels ``[n, ...]``, and one output as the model states it: shape ``[batch, ...]``.

    ``last`` is the output's last activation where it is known (``softmax``, ``sigmoid``,
    ``argmax``, ``unit norm`` …), ``inputs`` are the model's.
    """

    labels: Array | None
    output: TensorSpec
    last: str = ""
    inputs: tuple[TensorSpec, ...] = ()

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The output's shape per item."""
        return self.output.shape[1:]

    @property
    def width(self) -> int:
        """How many values the output has per item; a free dimension counts as one."""
        return math.prod(size or 1 for size in self.sizes)

    @property
    def integers(self) -> bool:
        """Whether the output is of integers that stand for themselves."""
        return np.dtype(self.output.dtype).kind in "iu" or self.last == "argmax"

    @cached_property
    def per_item(self) -> Array:
        """The labels ``[n, values]``. Raises :class:`DataError` where there are none."""
        if self.labels is None:
            raise DataError("EK-DATA-005", "there are no labels to detect the task from")
        return np.asarray(self.labels).reshape(len(self.labels), -1)

    @cached_property
    def whole(self) -> bool:
        """Whether every label is a whole number."""
        labels = self.per_item
        if labels.dtype.kind == "U":
            return False
        return labels.dtype.kind in "iub" or bool((np.rint(labels) == labels).all())

    @cached_property
    def single(self) -> bool:
        """Whether there is one label per item."""
        return self.labels is not None and self.per_item.shape[1] == 1

    @cached_property
    def binary(self) -> bool:
        """Whether every label is 0 or 1."""
        labels = self.per_item
        return self.whole and bool(((labels == 0) | (labels == 1)).all())

    @property
    def ends(self) -> str:
        """The last activation in brackets, for a sentence."""
        return f" ({self.last})" if self.last else ""

    def __str__(self) -> str:
        labels = "none"
        if self.labels is not None and self.labels.dtype.kind == "U":
            labels = "texts"
        elif self.labels is not None:
            low, high = self.per_item.min(), self.per_item.max()
            shape = format_shape(self.labels.shape[1:])
            labels = f"{self.labels.dtype} {shape} from {low:.4g} to {high:.4g}"
        output = f"{self.output.dtype} {format_shape(self.sizes)}"
        return f"labels are {labels}; the output is {output}{self.ends}"


def format_shape(sizes: tuple[int | None, ...]) -> str:
    """Format a shape per item as ``[N, ...]``."""
    return "[" + ", ".join(["N", *("?" if size is None else str(size) for size in sizes)]) + "]"
