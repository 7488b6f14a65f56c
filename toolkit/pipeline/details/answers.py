"""What a model's answers tell a page: confusion, reliability, and the items answered worst."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from edgekit.decoding import decode
from edgekit.evaluation.metrics.detection import picture_scores
from edgekit.evaluation.metrics.measurement import right
from edgekit.evaluation.metrics.metric import Array, Metric
from edgekit.evaluation.metrics.reliability import confusion_matrix, reliability
from edgekit.evaluation.worst import WorstItem, worst
from edgekit.pipeline.details.parts import Parts
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import metric_key, truths
from edgekit.store import Artefact
from edgekit.types import Json
from edgekit.types.details import Confusion, DrawnBox, PoorItem, Reliability

MOST = 16
# Of a picture's boxes.
MOST_BOXES = 60
# Parts that answers tell.
OF_ANSWERS = ("confusion", "reliability", "worst_items")
UNLABELLED = "no labelled items were evaluated"
SCORES = {
    "mse": "squared error",
    "rmse": "squared error",
    "r2": "squared error",
    "relative_error": "squared error",
    "mae": "absolute error",
    "log_loss": "log loss",
    "anomaly_auc": "share of the other kind on the wrong side",
}
KINDS = {
    "classes": "confidence",
    "labels": "share of wrong labels",
    "masks": "share of wrong pixels",
    "boxes": "F1 of the picture",
    "words": "edits per word",
    "characters": "edits per character",
}


@dataclass(frozen=True)
class AnswerDetails:
    """What one model's answers tell; ``absent`` says why a part is not here."""

    confusion: Confusion | None
    reliability: Reliability | None
    worst_items: tuple[PoorItem, ...]
    right: str
    absent: Mapping[str, str]


def kept_details(
    run: Run, items: Items, answers: Artefact, load: Callable[[], Array]
) -> AnswerDetails:
    """Find what kept answers tell in the store, or compute it of what ``load`` gives."""
    key = run.key(
        answers=answers.digest,
        metric=metric_key(run, items),
        data=items.digest,
        index=items.index_path.parent.name,
        classes=list(items.class_names),
    )

    def make(_: Path) -> Mapping[str, Json]:
        return asdict(of_answers(items, load()))

    return decode(run.store.obtain("answer details", key, make).facts, AnswerDetails)


def of_answers(items: Items, answers: Array) -> AnswerDetails:
    """Compute what answers tell, as the metric takes them."""
    parts, metric, labels = Parts(), items.metric, truths(items)
    if metric.takes_labels and labels is None:
        return AnswerDetails(None, None, (), "", dict.fromkeys(OF_ANSWERS, UNLABELLED))
    names = items.class_names

    def poor() -> tuple[PoorItem, ...]:
        ranked = worst(metric, labels, answers, MOST)
        listed = [one for one in ranked if one.score or not _is_error(metric)]
        boxes = _boxes(items, labels, answers, [one.item for one in listed])
        return tuple(
            replace(_item(items, one), boxes=those)
            for one, those in zip(listed, boxes, strict=True)
        )

    def bits() -> str:
        ranked = right(metric, labels, answers)
        return (
            ""
            if ranked is None
            else base64.b64encode(np.packbits(ranked).tobytes()).decode("ascii")
        )

    return AnswerDetails(
        parts.make("confusion", lambda: confusion_matrix(metric, labels, answers, names), None),
        parts.make("reliability", lambda: reliability(metric, labels, answers), None),
        parts.make("worst_items", poor, ()),
        parts.make("right", bits, ""),
        parts.absent,
    )


def _boxes(
    items: Items, labels: Array | None, answers: Array, listed: Sequence[int]
) -> list[tuple[DrawnBox, ...]]:
    """Return the boxes of pictures that labels have, and those found that count; none of others."""
    if items.metric.reads != "boxes" or labels is None or not listed:
        return [()] * len(listed)
    least = picture_scores(labels, answers).least

    def drawn(row: Array, predicted: bool) -> DrawnBox:
        left, top, right, bottom = map(float, row[2:6] if predicted else row[1:5])
        name = str(called(int(row[1] if predicted else row[0]), items))
        return DrawnBox(
            predicted, left, top, right, bottom, name, float(row[0]) if predicted else None
        )

    return [
        (
            *(drawn(row, False) for row in labels[at] if row[0] >= 0),
            *(drawn(row, True) for row in answers[at] if row[0] >= least),
        )[:MOST_BOXES]
        for at in listed
    ]


def _item(items: Items, worst_item: WorstItem) -> PoorItem:
    grouped = items.groups is not None
    return PoorItem(
        number=worst_item.item if grouped else int(items.index[worst_item.item]),
        score=worst_item.score,
        score_name=score_name(items.metric),
        label=_words(worst_item.label, items),
        answer=_words(worst_item.answer, items),
        name=str(items.names[worst_item.item]) if items.names is not None and not grouped else "",
    )


def _is_error(metric: Metric) -> bool:
    """Tell whether a score of 0 is that of an item without a fault."""
    likeness = metric.reads == "numbers" and metric.direction == "higher"
    return metric.reads not in ("anything", "boxes") and not (
        likeness and metric.per_item is not None
    )


def score_name(metric: Metric) -> str:
    """Name what ranks the items that are answered worst."""
    return SCORES.get(metric.name) or KINDS.get(metric.reads) or metric.name.replace("_", " ")


def _words(value: int | float | str | None, items: Items) -> str:
    found = called(value, items)
    return "" if found is None else f"{found:.6g}" if isinstance(found, float) else str(found)


def called(value: int | float | str | None, items: Items) -> int | float | str | None:
    """Return a class's name, where classes have names."""
    known = isinstance(value, int) and 0 <= value < len(items.class_names)
    return items.class_names[int(value or 0)] if known else value
