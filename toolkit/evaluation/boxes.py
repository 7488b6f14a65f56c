"""A detector's outputs as boxes: layouts, anchors, YOLO heads and non-maximum suppression.

Decoded answers are float32 ``[n, k, 6]``: score, class, then left, top, right and bottom as shares
of the picture; rows with a score of -1 are empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError, ProjectError
from edgekit.types import Json

Array = npt.NDArray[Any]
Layout = Literal["xyxy", "yxyx", "xywh", "cxcywh"]
Format = Literal["postprocess", "ssd", "yolo", "boxes"]
CODE = "EK-PROJECT-044"
EMPTY = -1.0
# Candidates of a picture before suppression.
CANDIDATES = 1000
# Coordinates beyond this are pixels: shares end near 1.
SHARES = 2.0


@dataclass(frozen=True)
class BoxSpec:
    """How boxes are read from outputs; what is None is told by the outputs' shapes and values.

    ``boxes``, ``scores`` and ``classes`` name outputs. ``pixels`` says that coordinates are of the
    model's input. ``anchors`` ``[a, 4]`` are centre y, centre x, height and width as shares, and
    ``scales`` what an SSD head's offsets are divided by. Boxes of a score below ``score`` are left
    out, and those that overlap a better one of their class by more than ``iou``.
    """

    format: Format | None = None
    layout: Layout | None = None
    pixels: bool | None = None
    boxes: str | None = None
    scores: str | None = None
    classes: str | None = None
    anchors: Array | None = None
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    sigmoid: bool | None = None
    background: bool = False
    score: float = 0.01
    iou: float = 0.5
    largest: int = 100

    @property
    def key(self) -> Json:
        """What of it a store key needs."""
        anchors = None if self.anchors is None else self.anchors.tolist()
        return {**asdict(self), "anchors": anchors}


def decoded(outputs: Mapping[str, Array], spec: BoxSpec, size: tuple[int, int]) -> Array:
    """Return boxes ``[n, k, 6]`` of outputs by name; ``size`` is the input's height and width.

    Raises :class:`ProjectError` where the outputs are not boxes, or which is which is not clear.
    """
    kind = spec.format or detect_format(outputs, spec)
    return READERS[kind](outputs, spec, size)


def clear_unused(outputs: Mapping[str, Array], spec: BoxSpec) -> Mapping[str, Array]:
    """Return outputs with zeros where TFLite_Detection_PostProcess wrote nothing.

    Beyond its number of detections it leaves what was in memory, a NaN too (``fast_nms`` of
    detection_postprocess.cc); other outputs are given back. Raises :class:`ProjectError` as
    :func:`decoded`.
    """
    counts = _counts(outputs)
    if (spec.format or detect_format(outputs, spec)) != "postprocess" or counts is None:
        return outputs
    cleared = {}
    for name, values in outputs.items():
        used = np.ones(values.shape[:2], bool)
        if values is not counts:
            used = np.arange(values.shape[1]) < np.rint(counts.reshape(len(counts), -1)[:, :1])
        cleared[name] = np.where(used.reshape(*used.shape, *(1,) * (values.ndim - 2)), values, 0)
    return cleared


def _counts(outputs: Mapping[str, Array]) -> Array | None:
    """Return the number of boxes of each picture, ``[n]`` or ``[n, 1]``, where an output has it."""
    return next((a for a in outputs.values() if a.ndim == 1 or a.shape[1:] == (1,)), None)


def detect_format(outputs: Mapping[str, Array], spec: BoxSpec) -> Format:
    """Return the format that outputs of these shapes have. Raises :class:`ProjectError` for
    none.
    """
    shapes = [array.shape[1:] for array in outputs.values()]
    ranks = sorted(len(shape) for shape in shapes)
    four = [shape for shape in shapes if len(shape) == 2 and shape[-1] == 4]
    if len(four) == 1 and ranks in ([0, 1, 1, 2], [1, 1, 2], [1, 1, 1, 2]):
        return "postprocess"
    if len(four) >= 1 and ranks == [2, 2]:
        return "ssd" if spec.anchors is not None else "boxes"
    if ranks == [2]:
        return "yolo"
    listed = ", ".join(f"{name!r} {['N', *array.shape[1:]]}" for name, array in outputs.items())
    hint = (
        'say how: [evaluate.boxes] format = "postprocess", "ssd", "yolo" or "boxes", with the'
        " outputs' names; or write a function: --postprocess file.py:function"
    )
    raise ProjectError(CODE, f"the outputs are not those of a known detector: {listed}", hint)


def as_corners(boxes: Array, layout: Layout) -> Array:
    """Return boxes ``[..., 4]`` in a layout as left, top, right, bottom."""
    a, b, c, d = (boxes[..., k] for k in range(4))
    if layout == "yxyx":
        return np.stack([b, a, d, c], axis=-1)
    if layout == "xywh":
        return np.stack([a, b, a + c, b + d], axis=-1)
    if layout == "cxcywh":
        return np.stack([a - c / 2, b - d / 2, a + c / 2, b + d / 2], axis=-1)
    return np.asarray(boxes)


def overlaps(box: Array, others: Array) -> Array:
    """Compute intersection over union of a box ``[4]`` with boxes ``[n, 4]``, corners all."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    own = np.prod(np.clip(box[2:] - box[:2], 0, None))
    areas = np.prod(np.clip(others[:, 2:] - others[:, :2], 0, None), axis=1)
    union = own + areas - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(union), where=union > 0))


def suppressed(boxes: Array, scores: Array, classes: Array, iou: float, largest: int) -> Array:
    """Return the boxes that are kept, best first: none overlaps a better one of its class by
    more.
    """
    order = np.argsort(-scores, kind="stable")[:CANDIDATES]
    kept: list[int] = []
    while len(order) and len(kept) < largest:
        best, order = order[0], order[1:]
        kept.append(int(best))
        same = classes[order] == classes[best]
        order = order[~(same & (overlaps(boxes[best], boxes[order]) > iou))]
    return np.array(kept, np.int64)


def packed(pictures: list[tuple[Array, Array, Array]], largest: int) -> Array:
    """Pack boxes, scores and classes per picture as ``[n, largest, 6]``."""
    rows = np.full((len(pictures), largest, 6), 0.0, np.float32)
    rows[..., 0] = EMPTY
    for row, (boxes, scores, classes) in zip(rows, pictures, strict=True):
        count = min(len(scores), largest)
        row[:count, 0], row[:count, 1] = scores[:count], classes[:count]
        row[:count, 2:] = boxes[:count]
    return rows


def _postprocess(outputs: Mapping[str, Array], spec: BoxSpec, size: tuple[int, int]) -> Array:
    """Read TFLite_Detection_PostProcess and its like: boxes, classes, scores, and how many."""
    name, classes, scores = parts(outputs, spec)
    boxes = _shares(as_corners(outputs[name], spec.layout or "yxyx"), spec, size)
    counts = _counts(outputs)
    pictures = []
    for at in range(len(boxes)):
        count = len(boxes[at]) if counts is None else round(float(counts[at].reshape(-1)[0]))
        good = np.flatnonzero(outputs[scores][at][:count] >= spec.score)
        good = good[np.argsort(-outputs[scores][at][good], kind="stable")]
        pictures.append((boxes[at][good], outputs[scores][at][good], outputs[classes][at][good]))
    return packed(pictures, spec.largest)


def parts(outputs: Mapping[str, Array], spec: BoxSpec) -> tuple[str, str, str]:
    """Find the outputs that hold boxes, classes and scores: by name, never by order."""
    boxes = spec.boxes or next((n for n, a in outputs.items() if a.shape[2:] == (4,)), "")
    flat = [n for n, a in outputs.items() if a.ndim == 2 and a.shape[1:] != (1,)]

    def called(*words: str) -> str:
        matches = [name for name in flat if any(word in name.lower() for word in words)]
        return matches[0] if len(matches) == 1 else ""

    classes = spec.classes or called("class", "postprocess:1", "statefulpartitionedcall:1:2")
    scores = spec.scores or called("score", "postprocess:2")
    for name in (boxes, classes, scores):
        if name not in outputs:
            listed = ", ".join(outputs)
            hint = '[evaluate.boxes] boxes = "…", classes = "…", scores = "…"'
            message = f"which of the outputs {listed} are boxes, classes and scores is not clear"
            raise ProjectError(CODE, message, f"name them: {hint}")
    return boxes, classes, scores


def _ssd(outputs: Mapping[str, Array], spec: BoxSpec, size: tuple[int, int]) -> Array:
    """Decode offsets from anchors, as SSD heads give them, and a score per anchor and class.

    Both are shares of the picture: its size does not matter. Source: Liu et al. (2016), "SSD:
    Single Shot MultiBox Detector", section 2.2.
    """
    del size
    if spec.anchors is None:
        raise ProjectError(
            CODE, "an SSD head needs its anchors", '[evaluate.boxes] anchors = "anchors.npy"'
        )
    name, scores = pair(outputs, spec)
    offsets, anchors = np.asarray(outputs[name], np.float64), np.asarray(spec.anchors, np.float64)
    if offsets.shape[1:] != anchors.shape:
        message = f"the head gives {offsets.shape[1]} boxes, the anchors are {list(anchors.shape)}"
        raise ProjectError(
            CODE, message, "anchors are [boxes, 4]: centre y, centre x, height, width"
        )
    y, x, h, w = (offsets[..., k] / spec.scales[k] for k in range(4))
    centres = np.stack([x * anchors[:, 3] + anchors[:, 1], y * anchors[:, 2] + anchors[:, 0]], -1)
    sizes = np.stack([np.exp(w) * anchors[:, 3], np.exp(h) * anchors[:, 2]], -1)
    corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1)
    return _scored(corners, np.asarray(outputs[scores], np.float64), spec)


def _boxes(outputs: Mapping[str, Array], spec: BoxSpec, size: tuple[int, int]) -> Array:
    """Read boxes ``[n, k, 4]`` and scores ``[n, k, classes]``."""
    name, scores = pair(outputs, spec)
    corners = _shares(as_corners(outputs[name], spec.layout or "xyxy"), spec, size)
    return _scored(corners, np.asarray(outputs[scores], np.float64), spec)


def pair(outputs: Mapping[str, Array], spec: BoxSpec) -> tuple[str, str]:
    """Tell which of two outputs holds boxes, which scores. Raises :class:`ProjectError`."""
    four = [name for name, array in outputs.items() if array.shape[2:] == (4,)]
    boxes = spec.boxes or (four[0] if len(four) == 1 else "")
    rest = [name for name in outputs if name != boxes]
    scores = spec.scores or (rest[0] if len(rest) == 1 else "")
    if boxes not in outputs or scores not in outputs:
        message = f"which of the outputs {', '.join(outputs)} are boxes and scores is not clear"
        raise ProjectError(CODE, message, '[evaluate.boxes] boxes = "…", scores = "…"')
    return boxes, scores


def _yolo(outputs: Mapping[str, Array], spec: BoxSpec, size: tuple[int, int]) -> Array:
    """Read one output ``[n, k, 4 + classes]``, ``[n, k, 5 + classes]`` or either transposed.

    Of the transposed kind, which has fewer rows than columns, no row tells objects from background
    (YOLOv8 on); of the other the fifth is that score (YOLOv5), by which classes are multiplied.
    """
    name = spec.boxes or next(iter(outputs))
    rows = np.asarray(outputs[name], np.float64)
    if rows.ndim != 3 or min(rows.shape[1:]) < 5:
        raise ProjectError(CODE, f"output {name!r} {list(rows.shape)} is not a YOLO head", "")
    newer = rows.shape[1] < rows.shape[2]
    rows = rows.transpose(0, 2, 1) if newer else rows
    corners = _shares(as_corners(rows[..., :4], spec.layout or "cxcywh"), spec, size)
    scores = rows[..., 4:] if newer else rows[..., 5:] * rows[..., 4:5]
    return _scored(corners, scores, spec)


def _scored(corners: Array, scores: Array, spec: BoxSpec) -> Array:
    """Return the boxes of every class that scores enough, after suppression."""
    if spec.sigmoid or (spec.sigmoid is None and (scores.min() < -1e-3 or scores.max() > 1.001)):
        scores = 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
    if spec.background:
        scores = scores[..., 1:]
    pictures = []
    for boxes, own in zip(corners, scores, strict=True):
        places, classes = np.nonzero(own >= spec.score)
        values = own[places, classes]
        kept = suppressed(boxes[places], values, classes, spec.iou, spec.largest)
        pictures.append((boxes[places][kept], values[kept], classes[kept]))
    return packed(pictures, spec.largest)


def _shares(corners: Array, spec: BoxSpec, size: tuple[int, int]) -> Array:
    """Convert corners to shares of the picture."""
    pixels = spec.pixels
    if pixels is None:
        pixels = bool(corners.size) and float(np.abs(corners).max()) > SHARES
    height, width = size
    return np.asarray(corners / np.array([width, height, width, height]) if pixels else corners)


READERS: Mapping[Format, Callable[[Mapping[str, Array], BoxSpec, tuple[int, int]], Array]] = {
    "postprocess": _postprocess,
    "ssd": _ssd,
    "yolo": _yolo,
    "boxes": _boxes,
}


def picture_size(inputs: Iterable[Array]) -> tuple[int, int]:
    """Return height and width of the first input that is a picture; (1, 1) without one."""
    for shape in (array.shape for array in inputs if array.ndim == 4):
        first = shape[1] in (1, 3) and shape[3] not in (1, 3)
        return (shape[2], shape[3]) if first else (shape[1], shape[2])
    return (1, 1)


def are_labels(labels: Array) -> bool:
    """Tell whether labels are boxes ``[n, k, 5]`` or ``[n, k, 6]``: class, corners as shares,
    crowd.
    """
    return not problem(labels) and bool((labels[..., 0] >= 0).any())


def problem(labels: Array) -> str:
    """Say what is wrong with labels as boxes; empty where nothing is, or where there is no box."""
    if labels.ndim != 3 or labels.shape[2] not in (5, 6) or labels.dtype.kind != "f":
        return "they are not floats [N, boxes, 5]"
    used = labels[labels[..., 0] >= 0]
    if (np.rint(labels[..., 0]) != labels[..., 0]).any():
        return "the first of the five is not a whole number, and it is the class"
    if not ((used[:, 1:5] >= -0.5) & (used[:, 1:5] <= 1.5)).all():
        far = float(used[:, 1:5].flat[np.argmax(np.abs(used[:, 1:5]))])
        return f"a coordinate is {far:.6g}, and they are shares of the picture, 0 to 1"
    if not (used[:, 3:5] >= used[:, 1:3]).all():
        return "the right of a box is left of its left, or its bottom above its top"
    return ""


def refuse_others(labels: Array) -> None:
    """Raise :class:`DataError` where labels are not boxes."""
    if not are_labels(labels):
        why = problem(labels) or "none of them is a box"
        message = f"labels {labels.dtype} {list(labels.shape)} are not boxes: {why}"
        hint = (
            "give --annotations (COCO JSON, VOC XML or YOLO text), or an array y [N, boxes, 5]:"
            " class, left, top, right, bottom as shares of the picture; class -1 for no box"
        )
        raise DataError("EK-DATA-065", message, hint)
