"""Metrics of embeddings: whether the items nearest to one are of its kind."""

from __future__ import annotations

import numpy as np

from edgekit.errors import DataError

from .classes import CODE, true_class
from .metric import Array, Floats, Index

# Queries whose cosines to all items are held at once take some 16 MiB.
VALUES = 1 << 21


def read(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Index, list[Floats]]:
    """Return the kind of each item ``[n]``, and every model's embeddings ``[n, size]`` of length 1.

    Raises :class:`DataError` where an item has several labels, or no kind has two items.
    """
    if np.asarray(y_true).size != len(y_true):
        message = f"{name}: labels are {list(np.asarray(y_true).shape)}"
        raise DataError(CODE, message, "each item has one label: its person, product or place")
    labels = true_class(y_true)
    if np.unique(labels, return_counts=True)[1].max(initial=0) < 2:
        message = f"{name}: no two items have the same label"
        raise DataError(CODE, message, "an item is looked for among others of its label")
    return labels, [_unit(np.asarray(one, np.float64).reshape(len(one), -1)) for one in outputs]


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


class RecallAt:
    """1 where one of the ``k`` other items with the largest cosine has the item's label, else 0.

    Every item is looked for among all others; of equal cosines the first items come first. An item
    that is alone of its label is never found. Source: recall@K of Jégou et al. (2011), "Product
    Quantization for Nearest Neighbor Search".
    """

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, labels: Index, vectors: Floats) -> Floats:
        if self.k >= len(labels) - 1:
            message = f"recall_at_{self.k} of {len(labels)} items finds every item"
            raise DataError(CODE, message, "take a smaller k, or more items")
        hits = np.empty(len(labels))
        rows = max(1, VALUES // len(labels))
        for at in range(0, len(labels), rows):
            near = vectors[at : at + rows] @ vectors.T
            own = np.arange(at, at + len(near))
            near[np.arange(len(near)), own] = -np.inf
            nearest = np.argsort(-near, axis=1, kind="stable")[:, : self.k]
            hits[at : at + rows] = (labels[nearest] == labels[own][:, None]).any(axis=1)
        return hits
