"""Detectors' outputs as tensors to train on: which of them are boxes and scores, and their layout.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError, ProjectError
from edgekit.evaluation import boxes
from edgekit.evaluation.boxes import BoxSpec, Format
from edgekit.models.load import library
from edgekit.training.columns import Column
from edgekit.training.defaults import by_output, is_probability, last_activation, no_loss

Array = npt.NDArray[Any]
# Rows of labels that are looked at in one go.
ROWS = 4096
INSIDE = "its outputs are boxes that are chosen already: non-maximum suppression has no gradient"
BEFORE = (
    "train the model that ends before it, in boxes [k, 4] and scores [k, classes]; convert either"
)


@dataclass(frozen=True)
class Head:
    """How boxes and scores are read from a detector's outputs, in one tensor or two.

    ``spec`` has a layout, and says whether coordinates are pixels; ``size`` is the picture's height
    and width. ``names`` are the outputs, boxes before scores. ``logits`` says that scores are no
    probabilities, ``newer`` that a YOLO head is ``[4 + classes, k]``.
    """

    format: Format
    spec: BoxSpec
    size: tuple[int, int]
    names: tuple[str, ...]
    logits: bool
    newer: bool = False

    def joined(self, model: Any) -> Any:
        """Return a model of the same layers with one output: boxes and scores side by side.

        A loss of Keras sees one output at a time, and matching needs both.
        """
        if len(self.names) == 1:
            return model
        keras = library(model)
        names = [str(name) for name in model.output_names]
        outputs = [model.outputs[names.index(name)] for name in self.names]
        both = keras.layers.Concatenate(dtype="float32", name="boxes_and_scores")(outputs)
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        return keras.Model(inputs, both, name=model.name)

    def parted(self, answers: Array) -> dict[str, Array]:
        """Return the outputs by name of what the joined model answers ``[n, ...]``."""
        if len(self.names) == 1:
            return {self.names[0]: answers}
        return {self.names[0]: answers[..., :4], self.names[1]: answers[..., 4:]}

    def decoded(self, answers: Array) -> Array:
        """Return boxes ``[n, k, 6]`` of what the joined model answers, as they are judged."""
        return boxes.decoded(
            self.parted(answers), replace(self.spec, format=self.format), self.size
        )

    def read(self, answers: Any) -> tuple[Any, Any]:
        """Return corners ``[n, k, 4]`` as shares of the picture, and scores ``[n, k, classes]``."""
        import tensorflow as tf

        if self.newer:
            answers = tf.transpose(answers, (0, 2, 1))
        rows, scores = answers[..., :4], answers[..., 4:]
        if self.format == "yolo" and not self.newer:
            scores = answers[..., 5:] * answers[..., 4:5]
        if self.format == "ssd":
            return self._offset(rows), scores
        height, width = self.size if self.spec.pixels else (1, 1)
        shares = tf.constant([width, height, width, height], tf.float32)
        return _corners(rows, self.spec.layout or "xyxy") / shares, scores

    def _offset(self, rows: Any) -> Any:
        """Decode offsets from anchors, as :mod:`edgekit.evaluation.boxes` does."""
        import tensorflow as tf

        anchors = tf.constant(np.asarray(self.spec.anchors, np.float32))
        y, x, height, width = tf.unstack(rows / tf.constant(self.spec.scales, tf.float32), axis=-1)
        centred = [
            x * anchors[:, 3] + anchors[:, 1],
            y * anchors[:, 2] + anchors[:, 0],
            tf.exp(width) * anchors[:, 3],
            tf.exp(height) * anchors[:, 2],
        ]
        return _corners(tf.stack(centred, axis=-1), "cxcywh")


def _corners(rows: Any, layout: boxes.Layout) -> Any:
    """Return boxes ``[..., 4]`` in a layout as left, top, right, bottom."""
    import tensorflow as tf

    first, second = rows[..., :2], rows[..., 2:]
    if layout == "yxyx":
        return tf.concat([first[..., ::-1], second[..., ::-1]], axis=-1)
    if layout == "xywh":
        return tf.concat([first, first + second], axis=-1)
    if layout == "cxcywh":
        return tf.concat([first - second / 2, first + second / 2], axis=-1)
    return rows


def are_meant_as_boxes(labels: Array, sizes: tuple[tuple[int | None, ...], ...]) -> bool:
    """Tell whether labels look as if they were to be boxes, right or wrong, beside outputs of these
    shapes per item.
    """
    return (
        labels.ndim == 3
        and labels.shape[2] in (4, 5, 6)
        and labels.dtype.kind in "fiu"
        and labels.shape[1:] not in sizes
        and any(len(one) == 2 for one in sizes)
    )


def head_of(model: Any, x: Any, answers: Any, spec: BoxSpec) -> Head:
    """Find how a few answers of a model to ``x`` are boxes and scores.

    Raises :class:`ProjectError`, EK-TRAIN-002, where they cannot be trained, with the reason.
    """
    import tensorflow as tf

    outputs = by_output(model, answers)
    arrays = {name: array for name, (_, array) in outputs.items()}
    spec = _renamed(spec, list(arrays))
    size = boxes.picture_size([np.asarray(each) for each in tf.nest.flatten(x)])
    listed = ", ".join(repr(name) for name in arrays)
    try:
        kind = spec.format or boxes.detect_format(arrays, spec)
    except ProjectError as error:
        raise no_loss(listed, error.message, error.hint) from error
    if kind == "postprocess":
        raise no_loss(listed, INSIDE, BEFORE)
    if len(arrays) > 1 and not getattr(model, "outputs", None):
        why = "boxes and scores are matched together, and a subclassed model tells no outputs"
        raise no_loss(listed, why, "build it by keras.Model(inputs, [boxes, scores])")
    # It names what is wrong with shapes and anchors.
    boxes.READERS[kind]({name: array[:1] for name, array in arrays.items()}, spec, size)
    if kind == "yolo":
        return _yolo(model, outputs, spec, size)
    names = boxes.pair(arrays, spec)
    layout = spec.layout or "xyxy"
    corners = boxes.as_corners(arrays[names[0]], layout)
    pixels = spec.pixels if spec.pixels is not None else _beyond(corners)
    logits = _are_logits(model, *outputs[names[1]], spec)
    return Head(
        kind, replace(spec, layout=layout, pixels=pixels, sigmoid=logits), size, names, logits
    )


def _renamed(spec: BoxSpec, names: list[str]) -> BoxSpec:
    """Return a spec with the names of Keras, where it has those of the SavedModel: output_0 …"""
    places = {f"output_{number}": name for number, name in enumerate(names)}

    def named(said: str | None) -> str | None:
        return said if said is None or said in names else places.get(said, said)

    return replace(spec, boxes=named(spec.boxes), scores=named(spec.scores))


def _yolo(
    model: Any, outputs: Mapping[str, tuple[Any, Array]], spec: BoxSpec, size: tuple[int, int]
) -> Head:
    name = spec.boxes or next(iter(outputs))
    output, rows = outputs[name]
    newer = rows.shape[1] < rows.shape[2]
    scores = rows[:, 4:] if newer else rows[..., 4:]
    logits = _are_logits(model, output, scores, spec)
    if logits and not newer:
        why = "objectness and classes are multiplied, and of logits that is not a probability"
        raise no_loss(repr(name), why, "let both end in a sigmoid")
    layout = spec.layout or "cxcywh"
    given = boxes.as_corners((rows.transpose(0, 2, 1) if newer else rows)[..., :4], layout)
    pixels = spec.pixels if spec.pixels is not None else _beyond(given)
    spec = replace(spec, boxes=name, layout=layout, pixels=pixels, sigmoid=logits)
    return Head("yolo", spec, size, (name,), logits, newer)


def _beyond(corners: Array) -> bool:
    return bool(corners.size) and float(np.abs(corners).max()) > boxes.SHARES


def _are_logits(model: Any, output: Any, scores: Array, spec: BoxSpec) -> bool:
    """Tell whether scores are logits: as the project says, by the last layer, or by values."""
    if spec.sigmoid is not None:
        return spec.sigmoid
    if last_activation(model, output) in ("softmax", "sigmoid") or is_probability(scores):
        return False
    return bool(scores.min() < -1e-3 or scores.max() > 1.001)


def check_labels(column: Column, items: Array, head: Head, answers: int, classes: int) -> None:
    """Refuse true boxes ``[N, m, 5 or 6]`` that the head cannot learn.

    Raises :class:`DataError` where rows are not boxes, of a class that is not scored, or more of a
    picture than there are candidates.
    """
    scored = classes - int(head.spec.background)
    for first, rows in _pieces(column.rows, items):
        if boxes.problem(rows):
            boxes.refuse_others(rows)
        largest = int(rows[..., 0].max(initial=-1))
        if largest >= scored:
            message = f"the head scores {scored} classes, and a box is of class {largest}"
            where = first + int(np.argmax((rows[..., 0] == largest).any(axis=1)))
            hint = (
                f"it is of item {int(items[where])}; number classes from 0, or let the head score"
                f" {largest + 1}"
            )
            raise DataError("EK-DATA-065", message, hint)
        counts = (rows[..., 0] >= 0).sum(axis=1)
        if counts.max(initial=0) > answers:
            where = first + int(np.argmax(counts))
            message = (
                f"item {int(items[where])} has {int(counts.max())} boxes, and the head gives"
                f" {answers} candidates"
            )
            hint = "give the head more candidates than a picture has boxes: several times as many"
            raise DataError("EK-DATA-065", message, hint)


def _pieces(rows: Array, items: Array) -> Iterator[tuple[int, Array]]:
    for at in range(0, len(items), ROWS):
        yield at, np.asarray(rows[items[at : at + ROWS]])
