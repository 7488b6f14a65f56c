"""A detector's outputs as boxes: layouts, anchors, and non-maximum suppression.

The reference of the same function in other languages. Needs numpy alone; works on Python 3.9 and
later.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

import numpy as np


def corners(spec: Dict[str, Any], boxes: Any) -> Any:
    """Return the rows' boxes ``[rows, 4]`` as left, top, right, bottom: shares of the picture."""
    rows = np.arange(spec["rows"])[:, None] * spec["box_row"]
    a, b, c, d = boxes[rows + np.arange(4) * spec["box_column"]].T
    if spec["anchors"]:
        y, x, tall, wide = np.asarray(spec["anchors"], np.float64).T
        scale = spec["scales"]
        y, x = a / scale[0] * tall + y, b / scale[1] * wide + x
        tall, wide = np.exp(c / scale[2]) * tall, np.exp(d / scale[3]) * wide
        return np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2], axis=1)
    ordered = {
        "xyxy": (a, b, c, d),
        "yxyx": (b, a, d, c),
        "xywh": (a, b, a + c, b + d),
        "cxcywh": (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
    }[spec["layout"]]
    size = (spec["width"], spec["height"], spec["width"], spec["height"])
    return np.stack(ordered, axis=1) / np.asarray(size)


def _area(box: Any) -> Any:
    return np.maximum(box[..., 2] - box[..., 0], 0) * np.maximum(box[..., 3] - box[..., 1], 0)


def overlap(a: Any, b: Any) -> float:
    """Return the intersection over union of two boxes."""
    shared = _area(np.concatenate([np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])]))
    both = _area(a) + _area(b) - shared
    return float(shared / both) if both > 0 else 0.0


def read_boxes(spec: Dict[str, Any], outputs: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Return an item's boxes, best first, of its outputs as real numbers by name."""
    flat = {name: np.asarray(v, np.float64).reshape(-1) for name, v in outputs.items()}
    rows = np.arange(spec["rows"])[:, None]
    columns = np.arange(int(spec["background"]), spec["classes"])
    places = spec["score_start"] + rows * spec["score_row"] + columns * spec["score_column"]
    scores = flat[spec["score_output"]][places]
    boxes = flat[spec["box_output"]]
    if spec["objectness"] >= 0:
        scores = scores * boxes[spec["objectness"] + rows * spec["box_row"]]
    if spec["sigmoid"]:
        scores = 1 / (1 + np.exp(-np.clip(scores, -700, 700)))
    counted = spec["rows"]
    if spec["count_output"]:
        counted = min(counted, int(np.rint(flat[spec["count_output"]][0])))
    where, classes = np.nonzero(scores[:counted] >= spec["score"])
    if spec["class_output"]:
        classes = np.rint(flat[spec["class_output"]][where]).astype(int)
        values = scores[where, 0]
    else:
        values = scores[where, classes]
    order = np.argsort(-values, kind="stable")[: spec["candidates"]]
    found = corners(spec, boxes)[where]
    return suppressed(spec, [(values[k], classes[k], found[k]) for k in order])


def suppressed(spec: Dict[str, Any], candidates: List[Any]) -> List[Dict[str, Any]]:
    """Return the candidates, best first, of which none overlaps a better one of its class."""
    kept: List[Any] = []
    for score, category, box in candidates:
        if len(kept) == spec["largest"]:
            break
        better = (other for _, same, other in kept if same == category)
        if spec["suppress"] and any(overlap(other, box) > spec["iou"] for other in better):
            continue
        kept.append((score, category, box))
    return [
        {"score": float(score), "category": int(category), "box": [float(v) for v in box]}
        for score, category, box in kept
    ]
