"""The golden statistics of a bundle: the judged items, and what was answered to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.evaluation.parity import open_outputs
from edgekit.pipeline.answers import answers_of
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.targets.bundles import monitoring
from edgekit.targets.runners import recorder
from edgekit.types import Candidate, Json, SavedModel

# Items that are counted, evenly spread, and values of a tensor that are read for it in all.
MOST_ITEMS = 5000
MOST_VALUES = 1 << 27
# Shares sum to 1 within a few quantization steps.
SUM_TOLERANCE = 0.05


def golden_statistics(
    run: Run,
    candidate: Candidate,
    reference: SavedModel,
    items: Items,
    labels: tuple[str, ...],
) -> Mapping[str, Json] | None:
    """Count what the judged items are and what a candidate answers to them; None where they are
    no numbers, as texts are.
    """
    names = tuple(spec.name for spec in reference.outputs)
    answers = open_outputs(answers_of(run, candidate, items).path / "outputs", names)
    inputs = {name: np.load(path, mmap_mode="r") for name, path in items.inputs.items()}
    numeric = {name: v for name, v in inputs.items() if v.dtype.kind in "biuf" and v.ndim}
    if not numeric or not len(items.index):
        return None
    chosen = _chosen([*numeric.values(), *answers.values()], len(items.index))
    given = [monitoring.layout_of(n, "input", v.shape[1:]) for n, v in numeric.items()]
    tables = list(zip(given, _features(run, items, numeric, chosen, given), strict=True))
    for name, values in answers.items():
        label = f"{name} (output)" if name in numeric else name
        tensor = monitoring.layout_of(name, "output", values.shape[1:], label)
        tables.append((tensor, monitoring.table_of(tensor, values, chosen)))
    model = {
        "name": run.plan.name,
        "version": run.version(reference),
        "model": candidate.sha256,
    }
    scored, scores = _scored(items, answers, chosen, labels)
    found = monitoring.statistics_of(model, tables, scored, scores)
    return {**found, "device": recorder.processor()}


def _chosen(tensors: Sequence[npt.NDArray[Any]], count: int) -> npt.NDArray[np.int64]:
    """Return the positions of the items that are counted, fewer where an item is large."""
    size = max(int(np.prod(values.shape[1:], dtype=np.int64)) for values in tensors)
    most = min(count, MOST_ITEMS, max(1, MOST_VALUES // max(size, 1)))
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))


def _features(
    run: Run,
    items: Items,
    inputs: Mapping[str, npt.NDArray[Any]],
    chosen: npt.NDArray[np.int64],
    tensors: list[dict[str, Json]],
) -> list[npt.NDArray[np.float64]]:
    """Return the features of the inputs, which all candidates share: from the store, or made."""
    key = run.key(tensors=tensors, chosen=[int(k) for k in chosen], **items.key)

    def make(folder: Path) -> Mapping[str, Json]:
        for k, tensor in enumerate(tensors):
            values = inputs[str(tensor["name"])]
            np.save(folder / f"{k}.npy", monitoring.table_of(tensor, values, items.index[chosen]))
        return {}

    kept = run.obtain("golden-statistics", key, make)
    return [np.load(kept.path / f"{k}.npy") for k in range(len(tensors))]


def _scored(
    items: Items,
    answers: Mapping[str, npt.NDArray[Any]],
    chosen: npt.NDArray[np.int64],
    labels: tuple[str, ...],
) -> tuple[monitoring.Classes | None, npt.NDArray[Any] | None]:
    """Return the output that scores classes, where the metric takes one as such, and its values."""
    name = items.output or next(iter(answers))
    if items.metric.reads != "classes" or items.postprocess or answers[name].ndim != 2:
        return None, None
    values = np.array(answers[name][chosen])
    inside = bool((values >= 0).all() and (values <= 1).all())
    if values.shape[1] == 1:
        two = labels if len(labels) == 2 else ()
        threshold, activation = (0.5, "") if inside else (0.0, "sigmoid")
        return monitoring.Classes(name, two, activation, threshold), values
    shares = inside and np.allclose(values.sum(axis=1), 1, atol=SUM_TOLERANCE)
    named = labels if len(labels) == values.shape[1] else ()
    return monitoring.Classes(name, named, "" if shares else "softmax"), values
