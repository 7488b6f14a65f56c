"""Where a detector's boxes lie in its outputs, resolved for the app of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.evaluation import boxes
from edgekit.types import BoxesSpec

Array = npt.NDArray[Any]


def boxes_of(outputs: Mapping[str, Array], spec: boxes.BoxSpec, size: tuple[int, int]) -> BoxesSpec:
    """Return how boxes lie in ``outputs`` ``[n, ...]``; ``size`` is the input's height and width.

    What ``spec`` leaves open is told by the outputs' values, as :func:`boxes.decoded` tells it.
    Raises :class:`ProjectError` where the outputs are not boxes.
    """
    kind = spec.format or boxes.detect_format(outputs, spec)
    places = _PLACES[kind](outputs, spec)
    values = outputs[places["box_output"]]
    scores = _scores(outputs, places)
    pixels = spec.pixels
    if pixels is None:
        pixels = kind != "ssd" and bool(np.abs(_coordinates(values, places)).max() > boxes.SHARES)
    sigmoid = spec.sigmoid
    if sigmoid is None:
        sigmoid = kind != "postprocess" and bool(scores.min() < -1e-3 or scores.max() > 1.001)
    usual = {"postprocess": "yxyx", "ssd": "xyxy", "boxes": "xyxy", "yolo": "cxcywh"}
    anchors = np.asarray(spec.anchors if kind == "ssd" else np.empty((0, 4)), np.float64)
    return BoxesSpec(
        format=kind,
        layout=usual["ssd"] if kind == "ssd" else spec.layout or usual[kind],
        sigmoid=sigmoid,
        background=spec.background and kind != "postprocess",
        width=size[1] if pixels else 1,
        height=size[0] if pixels else 1,
        anchors=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in anchors),
        scales=spec.scales,
        score=spec.score,
        iou=spec.iou,
        largest=spec.largest,
        suppress=kind != "postprocess",
        candidates=boxes.CANDIDATES,
        **places,
    )


def _coordinates(values: Array, places: Mapping[str, Any]) -> Array:
    """Return the coordinates of all rows of items, flat."""
    flat = values.reshape(len(values), -1)
    rows = np.arange(places["rows"])[:, None] * places["box_row"]
    return np.asarray(flat[:, rows + np.arange(4) * places["box_column"]])


def _scores(outputs: Mapping[str, Array], places: Mapping[str, Any]) -> Array:
    values = outputs[places["score_output"]]
    flat = values.reshape(len(values), -1).astype(np.float64)
    rows = np.arange(places["rows"])[:, None] * places["score_row"]
    columns = np.arange(places["classes"]) * places["score_column"]
    scores = flat[:, places["score_start"] + rows + columns]
    if places["objectness"] >= 0:
        scores = scores * flat[:, places["objectness"] + rows]
    return np.asarray(scores)


def _postprocess(outputs: Mapping[str, Array], spec: boxes.BoxSpec) -> dict[str, Any]:
    name, classes, scores = boxes.parts(outputs, spec)
    counts = [n for n, a in outputs.items() if a.ndim == 1 or a.shape[1:] == (1,)]
    rows = outputs[name].shape[1]
    return _pair_places(name, scores, rows, 1) | {
        "class_output": classes,
        "count_output": counts[0] if counts else None,
    }


def _pair(outputs: Mapping[str, Array], spec: boxes.BoxSpec) -> dict[str, Any]:
    name, scores = boxes.pair(outputs, spec)
    return _pair_places(name, scores, outputs[name].shape[1], outputs[scores].shape[2])


def _pair_places(name: str, scores: str, rows: int, classes: int) -> dict[str, Any]:
    return {
        "rows": rows,
        "classes": classes,
        "box_output": name,
        "score_output": scores,
        "class_output": None,
        "count_output": None,
        "box_row": 4,
        "box_column": 1,
        "score_start": 0,
        "score_row": classes,
        "score_column": 1,
        "objectness": -1,
    }


def _yolo(outputs: Mapping[str, Array], spec: boxes.BoxSpec) -> dict[str, Any]:
    name = spec.boxes or next(iter(outputs))
    first, second = outputs[name].shape[1:]
    # Of the transposed kind no row tells objects from background (YOLOv8 on).
    newer = first < second
    rows, columns = (second, first) if newer else (first, second)
    row, column = (1, second) if newer else (columns, 1)
    before = 4 if newer else 5
    return {
        "rows": rows,
        "classes": columns - before,
        "box_output": name,
        "score_output": name,
        "class_output": None,
        "count_output": None,
        "box_row": row,
        "box_column": column,
        "score_start": before * column,
        "score_row": row,
        "score_column": column,
        "objectness": -1 if newer else 4 * column,
    }


_PLACES = {"postprocess": _postprocess, "ssd": _pair, "boxes": _pair, "yolo": _yolo}
