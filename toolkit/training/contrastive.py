"""The loss of embeddings: items of a batch that share a label are drawn together, others apart.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError
from edgekit.types import Advice

Array = npt.NDArray[Any]
CODE = "EK-DATA-088"
TEMPERATURE = 0.1
# Keras hands labels over as float32, which holds whole numbers up to here.
LARGEST = 1 << 24
# Of the items of a batch, so many should have another of their label beside them.
PAIRED_SHARE = 0.5
LARGEST_BATCH = 4096


def supervised_contrastive(y_true: Any, y_pred: Any) -> Any:
    """Compute the supervised contrastive loss ``[n]`` of embeddings ``[n, ...]``, float32.

    ``y_true`` are whole numbers ``[n]`` or ``[n, 1]``. Embeddings are brought to length 1, whatever
    theirs is. An item's loss is the mean of ``-log softmax(z_i z_a / 0.1)`` over the other items of
    its label, with the softmax over all other items; one that is alone of its label counts for
    nothing, and the mean over the batch is that over the rest. Source: Khosla et al. (2020),
    "Supervised Contrastive Learning", NeurIPS, equation 2 (L_out), at their temperature of 0.1.
    """
    import tensorflow as tf

    labels = tf.reshape(y_true, (-1,))
    count = tf.shape(labels)[0]
    vectors = tf.reshape(tf.cast(y_pred, tf.float32), (count, -1))
    vectors = tf.math.l2_normalize(vectors, axis=1)
    others = ~tf.eye(count, dtype=tf.bool)
    cosines = tf.matmul(vectors, vectors, transpose_b=True) / TEMPERATURE
    # Of an item itself nothing is asked: its share of the softmax is 0.
    cosines = tf.where(others, cosines, -1e9)
    shares = tf.nn.log_softmax(cosines, axis=1)
    alike = (labels[:, None] == labels[None, :]) & others
    partners = tf.reduce_sum(tf.cast(alike, tf.float32), axis=1)
    drawn = -tf.reduce_sum(tf.where(alike, shares, 0.0), axis=1) / tf.maximum(partners, 1.0)
    paired = tf.reduce_sum(tf.cast(partners > 0, tf.float32))
    return drawn * tf.cast(count, tf.float32) / tf.maximum(paired, 1.0)


def refuse_unpaired(labels: Array, source: str) -> None:
    """Raise :class:`DataError` where labels ``[N]`` say of no two items that they belong together,
    or are larger than float32 tells apart.
    """
    flat = np.asarray(labels).reshape(-1)
    if flat.size != len(labels) or (np.rint(flat) != flat).any():
        message = f"{source}: embeddings are trained by one whole number for each item"
        hint = "the labels are the identity or class of an item, y [N]"
        raise DataError(CODE, f"{message}, not {flat.dtype} {list(np.shape(labels))}", hint)
    if np.abs(flat).max(initial=0) > LARGEST:
        message = f"{source}: a label is {int(np.abs(flat).max())}, and beyond {LARGEST:,}"
        hint = "number the labels from 0: numpy.unique(y, return_inverse=True)[1]"
        raise DataError(CODE, f"{message} float32 tells no whole numbers apart", hint)
    if np.unique(flat, return_counts=True)[1].max(initial=0) < 2:
        message = f"{source}: no two items to train on have the same label"
        hint = "an embedding learns which items belong together: give several items of each label"
        raise DataError(CODE, message, hint)


def paired_share(labels: Array, batch: int) -> float:
    """Return the share of items that have another of their label in a batch, in the mean over
    batches that are drawn at random.
    """
    from scipy.special import gammaln

    flat = np.asarray(labels).reshape(-1)
    others, drawn = len(flat) - 1, min(batch, len(flat)) - 1
    counts = np.unique(flat, return_counts=True)[1]
    # None of its label's other items is among those drawn, without putting any back.
    left = others - (counts - 1)
    possible = left >= drawn
    ways = np.where(possible, left, drawn)
    log = gammaln(ways + 1) - gammaln(ways - drawn + 1)
    log -= gammaln(others + 1) - gammaln(others - drawn + 1)
    alone = np.where(possible, np.exp(log), 0.0)
    return float(((1 - alone) * counts).sum() / len(flat))


def few_pairs(labels: Array, batch: int) -> Advice | None:
    """Say that most items of a batch have no other of their label to be drawn to."""
    share = paired_share(labels, batch)
    if share >= PAIRED_SHARE:
        return None
    sizes = [batch << k for k in range(1, 13) if batch << k <= LARGEST_BATCH]
    better = next((size for size in sizes if paired_share(labels, size) >= PAIRED_SHARE), None)
    message = (
        f"of the items of a batch of {batch} only {share:.0%} have another of their label in it:"
        " the others teach which items differ, and none which are alike"
    )
    fix = f"[train] batch_size = {better}" if better else "take labels with more items"
    return Advice("EK-NOTE-210", "warning", message, fix)
