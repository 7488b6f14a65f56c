"""What a training does with its items: sets some aside, weighs them, changes them at random."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import data
from edgekit.data.division import common, divide
from edgekit.errors import DataError
from edgekit.pipeline.annotated import with_annotations
from edgekit.pipeline.datasets import class_names, open_data
from edgekit.pipeline.run import Run
from edgekit.project.train import TrainTable
from edgekit.training.augment import Augmentation
from edgekit.training.feed import Aside, Weights
from edgekit.types import Advice, Json
from edgekit.usercode import fingerprint

VALIDATION = "validation"
FILE = "items.npy"
WEIGHTS_CODE = "EK-DATA-083"


def aside(run: Run, dataset: data.Dataset) -> Aside:
    """Set items aside to validate on, as the project says; none where it does not.

    Items that are validated on and trained on as well are told. Raises :class:`DataError`.
    """
    table, seed = run.project.data, run.project.train.seed
    if table.validation is None:
        return Aside()
    other = open_data(run, table.validation) if isinstance(table.validation, str) else None
    other = with_annotations(run, other, table.train_annotations)
    if other is not None:
        sources: dict[str, Json] = {"data": dataset.digest, "validation": other.digest}
        both = run.obtain("overlap", sources, lambda _: {"items": common(other, dataset).tolist()})
        _tell_overlap(run, other, both.facts["items"])
        return Aside(None, other, other.digest)
    share, group = float(table.validation), table.group

    def make(folder: Path) -> Mapping[str, Json]:
        index = divide(dataset, {VALIDATION: share}, seed, group)[VALIDATION]
        np.save(folder / FILE, index)
        return {"count": len(index)}

    key: dict[str, Json] = {"data": dataset.digest, "share": share, "seed": seed, "group": group}
    made = run.obtain("division", key, make)
    return Aside(made.path / FILE, None, f"{share} {seed} {group or ''}")


def _tell_overlap(run: Run, other: data.Dataset, both: Any) -> None:
    if both:
        message = (
            f"{len(both):,} of {other.count:,} items of the validation data ({other.source}) are in"
            f" the training data ({run.project.data.train}) too, the first is item {both[0]}"
        )
        fix = "keep them apart: [data] validation = 0.1 sets items aside by their content"
        run.advise(Advice("EK-NOTE-131", "warning", message, fix))


def weights(run: Run, dataset: data.Dataset, set_aside: Aside) -> Weights:
    """Return how much the items count, as the project says. Raises :class:`DataError`."""
    table = run.project.train
    column = table.sample_weights
    if column is not None:
        values = dataset.columns([column])[column]
        if values.dtype.kind not in "iufb" or (values < 0).any() or not values.any():
            message = f"{dataset.source}: column {column!r} holds no weights"
            raise DataError(WEIGHTS_CODE, message, "weights are numbers of 0 and more, not all 0")
    if table.class_weights is None:
        return Weights(column)
    labels = dataset.open_labels()
    if labels.dtype.kind not in "iub" or labels.size != len(labels) or labels.min() < 0:
        message = f"{dataset.source}: the labels are {labels.dtype} {list(labels.shape)}"
        hint = "[train] class_weights is for class numbers [N]; sample_weights names a column"
        raise DataError(WEIGHTS_CODE, message, hint)
    labels = labels.reshape(-1).astype(np.int64)
    if table.class_weights == "balanced":
        held = set_aside.items
        kept = labels if held is None else np.delete(labels, np.load(held))
        return Weights(column, balanced(kept, int(labels.max()) + 1))
    dataset = dataset.called(class_names(run))
    return Weights(column, _named(dataset, table.class_weights, int(labels.max()) + 1))


def balanced(labels: Any, count: int) -> tuple[float, ...]:
    """Return weights by which every class counts alike, and an item 1 in the mean: ``n / (k nc)``.

    Source: King and Zeng (2001), "Logistic regression in rare events data".
    """
    counts = np.bincount(labels, minlength=count)
    present = np.count_nonzero(counts)
    return tuple(float(len(labels) / (present * one)) if one else 1.0 for one in counts)


def _named(dataset: data.Dataset, named: Mapping[str, float], count: int) -> tuple[float, ...]:
    names = list(dataset.class_names) or [str(number) for number in range(count)]
    strangers = [name for name in named if name not in names]
    if strangers:
        message = f"[train] class_weights: no class is called {strangers[0]!r}"
        raise DataError(WEIGHTS_CODE, message, f"the classes are {', '.join(names[:20])}")
    return tuple(float(named.get(name, 1.0)) for name in names)


def augmentation(run: Run) -> Augmentation | None:
    """Return what changes the items at random, where the project says so."""
    return augmentation_of(run.project.train, run.project.root)


def augmentation_of(table: TrainTable, root: Path) -> Augmentation | None:
    """Return what changes the items at random, where a table says so; its files are below root."""
    said = table.augment
    if said is None:
        return None
    if isinstance(said, str):
        return Augmentation(root, said, files=fingerprint(said, root))
    return Augmentation(root, layers=tuple(said.items()))
