"""The loss of detectors: each true box is matched with one candidate, and all others are none.

Runs in the worker, for models of either Keras generation. Needs no anchors and no grid: which
candidate answers for a box is decided by what the candidates answer. Source: Carion et al. (2020),
"End-to-End Object Detection with Transformers" (DETR), sections 3.1 and A.2; the classes by the
focal loss of Lin et al. (2017) and its matching cost, as Zhu et al. (2021), "Deformable DETR".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.training.heads import Head

Array = npt.NDArray[Any]
# What the class, the distance of the corners and the overlap count, in the cost as in the loss.
CLASS, DISTANCE, OVERLAP = 2.0, 5.0, 2.0
ALPHA, GAMMA = 0.25, 2.0
# Below it a probability is not an answer, but an underflow.
LEAST = 1e-6
# The cost of a candidate that is not a number: any other is taken before it.
WORST = 1e6


def set_prediction(head: Head) -> Callable[[Any, Any], Any]:
    """Return the loss of true boxes ``[n, m, 5 or 6]`` and a head's outputs in one tensor.

    True boxes are class, left, top, right and bottom as shares of the picture; those of class -1
    are none, and those that a sixth column marks as a crowd are left out. The loss ``[n]`` is, over
    the boxes of the batch, ``2 focal + 5 L1 + 2 (1 - GIoU)``: focal of all candidates, L1 of centre
    and size, and the generalised IoU of those matched.
    """
    import tensorflow as tf

    def set_prediction_loss(y_true: Any, y_pred: Any) -> Any:
        true = tf.cast(y_true, tf.float32)
        corners, scores = head.read(tf.cast(y_pred, tf.float32))
        real = true[..., 0] >= 0
        if true.shape[-1] == 6:
            real &= true[..., 5] < 0.5
        real_share = tf.cast(real, tf.float32)
        # Where there is no box the geometry could be NaN: a stand-in is computed.
        boxes = tf.where(real[..., None], true[..., 1:5], [0.25, 0.25, 0.75, 0.75])
        classes = tf.maximum(tf.cast(true[..., 0], tf.int32), 0) + int(head.spec.background)
        kinds = tf.one_hot(classes, scores.shape[-1])
        hit, missed = _focal(scores, head.logits)
        cost = tf.stop_gradient(_cost(corners, boxes, hit - missed, kinds))
        matched = tf.numpy_function(assigned, [cost, real], tf.int32)
        # [n, m, k]: which candidate answers for which box.
        pairs = tf.one_hot(tf.ensure_shape(matched, real.shape), tf.shape(scores)[1])
        wanted = tf.matmul(pairs, kinds, transpose_a=True)
        if head.spec.background:
            nothing = 1 - tf.reduce_sum(wanted, axis=-1, keepdims=True)
            wanted = tf.concat([nothing, wanted[..., 1:]], axis=-1)
        focal = tf.reduce_sum(wanted * hit + (1 - wanted) * missed, axis=(1, 2))
        mine = tf.matmul(pairs, corners)
        # A picture may have more boxes than there are candidates.
        counted = real_share * tf.reduce_sum(pairs, axis=-1)
        distance = tf.reduce_sum(tf.abs(_centred(mine) - _centred(boxes)), axis=-1)
        apart = 1 - overlap(tf.where(counted[..., None] > 0, mine, boxes), boxes)
        placed = tf.reduce_sum(counted * (DISTANCE * distance + OVERLAP * apart), axis=1)
        total = tf.maximum(tf.reduce_sum(real_share), 1.0)
        return (CLASS * focal + placed) * tf.cast(tf.shape(scores)[0], tf.float32) / total

    return set_prediction_loss


def _focal(scores: Any, logits: bool) -> tuple[Any, Any]:
    """Return the focal loss of each score ``[n, k, classes]``: where it is wanted, and where not.

    ``-a (1 - p)^2 log p`` and ``-(1 - a) p^2 log(1 - p)``, with a = 0.25.
    """
    import tensorflow as tf

    if logits:
        chance, yes, no = (
            tf.sigmoid(scores),
            tf.math.log_sigmoid(scores),
            tf.math.log_sigmoid(-scores),
        )
    else:
        chance = tf.clip_by_value(scores, LEAST, 1 - LEAST)
        yes, no = tf.math.log(chance), tf.math.log(1 - chance)
    return -ALPHA * (1 - chance) ** GAMMA * yes, -(1 - ALPHA) * chance**GAMMA * no


def _cost(corners: Any, boxes: Any, focal: Any, kinds: Any) -> Any:
    """Return what it costs that a candidate answers for a box: ``[n, k, m]``."""
    import tensorflow as tf

    ours, theirs = corners[:, :, None], boxes[:, None]
    distance = tf.reduce_sum(tf.abs(_centred(ours) - _centred(theirs)), axis=-1)
    named = tf.matmul(focal, kinds, transpose_b=True)
    return CLASS * named + DISTANCE * distance - OVERLAP * overlap(ours, theirs)


def _centred(corners: Any) -> Any:
    """Return corners ``[..., 4]`` as centre and size."""
    import tensorflow as tf

    low, high = corners[..., :2], corners[..., 2:]
    return tf.concat([(low + high) / 2, high - low], axis=-1)


def overlap(ours: Any, theirs: Any) -> Any:
    """Return the generalised intersection over union ``[...]`` of corners ``[..., 4]``, -1 to 1.

    ``IoU - (hull - union) / hull``, hull being the smallest box around both. Source: Rezatofighi et
    al. (2019), "Generalized Intersection over Union", CVPR.
    """
    import tensorflow as tf

    def area(low: Any, high: Any) -> Any:
        sides = tf.maximum(high - low, 0.0)
        return sides[..., 0] * sides[..., 1]

    # What a head gives may have its left right of its right.
    low = tf.minimum(ours[..., :2], ours[..., 2:])
    high = tf.maximum(ours[..., :2], ours[..., 2:])
    shared = area(tf.maximum(low, theirs[..., :2]), tf.minimum(high, theirs[..., 2:]))
    union = area(low, high) + area(theirs[..., :2], theirs[..., 2:]) - shared
    hull = area(tf.minimum(low, theirs[..., :2]), tf.maximum(high, theirs[..., 2:]))
    return tf.math.divide_no_nan(shared, union) - tf.math.divide_no_nan(hull - union, hull)


def assigned(cost: Array, real: Array) -> Array:
    """Return the candidate of each box ``[n, m]``, int32, by which all costs ``[n, k, m]`` of a
    picture sum to the least; -1 for what is not a box, or where there are fewer candidates.
    """
    from scipy.optimize import linear_sum_assignment

    answering = np.full(real.shape, -1, np.int32)
    for row, costs, boxes in zip(answering, cost, real, strict=True):
        (places,) = np.nonzero(boxes)
        finite = np.nan_to_num(costs[:, places], nan=WORST, posinf=WORST, neginf=-WORST)
        candidates, chosen = linear_sum_assignment(finite)
        row[places[chosen]] = candidates
    return answering
