"""COCO's mean average precision: boxes are matched by pycocotools, pictures are the items."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import ProjectError
from edgekit.evaluation.boxes import refuse_others

from .metric import Array, Floats, Index, Statistic, Undefined

# Boxes are shares of the picture; pycocotools counts the areas of pixels.
SIDE = 1000.0
RECALLS = np.linspace(0, 1, 101)
THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class ClassMatches:
    """One class: its answers over all pictures, best first, and its boxes per picture.

    ``hits`` and ``ignored`` are ``[thresholds, answers]``, ``pictures`` and ``scores``
    ``[answers]``, ``boxes`` ``[pictures]``.
    """

    hits: Array
    ignored: Array
    pictures: Index
    boxes: Floats
    scores: Floats


@dataclass(frozen=True)
class PictureScores:
    """F1 of each picture ``[pictures]``, over the boxes whose score is ``least`` or more."""

    f1: Floats
    least: float


def read(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Array, list[Array]]:
    """Return boxes of the labels and of the answers. Raises :class:`DataError` where either is
    none.
    """
    del name
    refuse_others(y_true)
    return y_true, [np.asarray(one) for one in outputs]


def mean_average_precision(labels: Array, answers: Array) -> Statistic:
    """Return the mean over classes, and over overlaps of 0.5 to 0.95, of the average precision."""
    return _averaged(matched(labels, answers, THRESHOLDS))


def at_half(labels: Array, answers: Array) -> Statistic:
    """Return the mean over classes of the average precision at an overlap of 0.5."""
    return _averaged(matched(labels, answers, THRESHOLDS[:1]))


def matched(labels: Array, answers: Array, thresholds: Floats) -> list[ClassMatches]:
    """Return the answers of each class that has boxes, matched to these by pycocotools.

    Raises :class:`Undefined` where there is no box at all.
    """
    annotations, detections = _documents(labels, answers)
    if not annotations["annotations"]:
        raise Undefined("no picture has a box")
    evaluation = _evaluated(annotations, detections, thresholds)
    pictures, classes = evaluation.params.imgIds, []
    for number, _ in enumerate(evaluation.params.catIds):
        rows = evaluation.evalImgs[number * len(pictures) : (number + 1) * len(pictures)]
        rows = [row for row in rows if row is not None]
        boxes = np.zeros(len(labels))
        for row in rows:
            boxes[row["image_id"]] += int(np.sum(np.asarray(row["gtIgnore"]) == 0))
        if not boxes.any():
            continue
        scores = np.concatenate([np.asarray(row["dtScores"]) for row in rows])
        order = np.argsort(-scores, kind="mergesort")
        places = np.concatenate([np.full(len(r["dtScores"]), r["image_id"], int) for r in rows])
        hits = np.concatenate([np.asarray(row["dtMatches"]) for row in rows], axis=1)
        ignored = np.concatenate([np.asarray(row["dtIgnore"]) for row in rows], axis=1)
        classes.append(
            ClassMatches(
                hits[:, order] > 0,
                ignored[:, order] > 0,
                places[order].astype(int),
                boxes,
                scores[order],
            )
        )
    return classes


def lowest_first(labels: Array, answers: Array) -> Floats | None:
    """Rank pictures: minus their F1, -inf where every box is right; nothing without a box."""
    try:
        f1 = picture_scores(labels, answers).f1
    except Undefined:
        return None
    return np.where(f1 < 1, -f1, -np.inf)


def picture_scores(labels: Array, answers: Array) -> PictureScores:
    """Return F1 = 2 TP / (2 TP + FP + FN) of each picture at an overlap of 0.5, 1 where it has no
    box and none was found.

    Boxes count from the score up that makes F1 over all pictures largest: below it stand those
    that average precision asks for, and no application shows. Raises :class:`Undefined` where
    there is no box at all.
    """
    classes = matched(labels, answers, THRESHOLDS[:1])
    counted = [~one.ignored[0] for one in classes]
    scores, hits, pictures = (
        np.concatenate([values[kept] for values, kept in zip(each, counted, strict=True)])
        for each in (
            [one.scores for one in classes],
            [one.hits[0] for one in classes],
            [one.pictures for one in classes],
        )
    )
    boxes = np.sum([one.boxes for one in classes], axis=0)
    least = _best_score(scores, hits, float(boxes.sum()))
    shown = scores >= least
    right = np.bincount(pictures[shown & hits], minlength=len(boxes))
    found = np.bincount(pictures[shown], minlength=len(boxes))
    # TP + FP are the boxes that were found, TP + FN those that are there.
    together = found + boxes
    f1 = np.divide(2 * right, together, out=np.ones(len(boxes)), where=together > 0)
    return PictureScores(f1, least)


def _best_score(scores: Floats, hits: Array, boxes: float) -> float:
    """Return the score from which on boxes give the largest F1 over all pictures."""
    if not len(scores):
        return 1.0
    order = np.argsort(-scores, kind="stable")
    f1 = 2 * np.cumsum(hits[order]) / (np.arange(1, len(scores) + 1) + boxes)
    # Boxes of one score are all shown, or none.
    last = np.append(scores[order][1:] != scores[order][:-1], True)
    return float(scores[order][np.argmax(np.where(last, f1, -1.0))])


def _averaged(classes: list[ClassMatches]) -> Statistic:
    """Compute COCO's average over pictures, each counted as often as it is drawn.

    Not pycocotools' own sum: the bootstrap asks for it a thousand times.
    """

    def value(items: Index) -> float:
        means = []
        for matches in classes:
            times = np.bincount(items, minlength=len(matches.boxes)).astype(np.float64)
            total = float(times @ matches.boxes)
            if total == 0:
                continue
            counted = np.where(matches.ignored, 0.0, times[matches.pictures])
            right = np.cumsum(counted * matches.hits, axis=1)
            wrong = np.cumsum(counted * ~matches.hits, axis=1)
            precision = right / np.maximum(right + wrong, np.spacing(1.0))
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            for recall, envelope in zip(right / total, best, strict=True):
                at = np.searchsorted(recall, RECALLS, side="left")
                inside = at < len(envelope)
                means.append(float(envelope[at[inside]].sum() / len(RECALLS)))
        return float(np.mean(means)) if means else float("nan")

    return value


def _documents(labels: Array, answers: Array) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return labels and answers as COCO's JSON has them."""
    crowds = labels[..., 5] if labels.shape[2] == 6 else np.zeros(labels.shape[:2])
    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for image, rows in enumerate(labels):
        for row, crowd in zip(rows, crowds[image], strict=True):
            if row[0] >= 0:
                box = _box(row[1:5])
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image,
                        "category_id": int(row[0]),
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": int(crowd),
                    }
                )
    for image, rows in enumerate(answers):
        detections += [
            {
                "image_id": image,
                "category_id": int(row[1]),
                "bbox": _box(row[2:6]),
                "score": float(row[0]),
            }
            for row in rows
            if row[0] >= 0
        ]
    kinds = sorted({entry["category_id"] for entry in annotations})
    document = {
        "info": {},
        "images": [{"id": image} for image in range(len(labels))],
        "categories": [{"id": kind} for kind in kinds],
        "annotations": annotations,
    }
    return document, [entry for entry in detections if entry["category_id"] in kinds]


def _box(corners: Array) -> list[float]:
    left, top, right, bottom = (float(value) * SIDE for value in corners)
    return [left, top, right - left, bottom - top]


def _evaluated(
    annotations: dict[str, Any], detections: list[dict[str, Any]], thresholds: Floats
) -> Any:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        hint = "install it: pip install 'edgekit[detection]'"
        message = "COCO's mean average precision needs pycocotools, which is not installed"
        raise ProjectError("EK-PROJECT-045", message, hint) from error
    # It prints as it goes, and the standard output is the user's.
    with contextlib.redirect_stdout(io.StringIO()):
        ours, theirs = COCO(), COCO()
        ours.dataset = annotations
        ours.createIndex()
        rows = [
            {
                **detection,
                "id": k,
                "area": detection["bbox"][2] * detection["bbox"][3],
                "iscrowd": 0,
            }
            for k, detection in enumerate(detections, 1)
        ]
        theirs.dataset = {**annotations, "annotations": rows}
        theirs.createIndex()
        evaluation = COCOeval(ours, theirs, "bbox")
        evaluation.params.iouThrs = np.asarray(thresholds)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
    return evaluation
