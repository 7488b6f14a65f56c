"""Pictures with the boxes, or texts, that annotations give them, as labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.data.annotations import read
from edgekit.errors import DataError
from edgekit.evaluation.texts import transcripts
from edgekit.pipeline import texts
from edgekit.pipeline.run import Run


def with_annotations(
    run: Run, dataset: data.Dataset | None, source: str | None
) -> data.Dataset | None:
    """Add the boxes or texts that a source of annotations has for the pictures, as labels.

    Raises :class:`DataError` where they cannot be matched to the items.
    """
    table = run.project.data
    if source is None or dataset is None:
        return dataset
    names = dataset.names()
    if names is None:
        hint = "give --data FOLDER of pictures, or boxes as an array y beside the items"
        raise DataError("EK-DATA-066", f"{dataset.source} does not name its pictures", hint)
    if table.preprocess.crop is not None:
        hint = "leave out --crop: pictures are stretched, and boxes with them"
        raise DataError("EK-DATA-066", "a crop moves the boxes of the annotations", hint)
    rows = _rows(run, run.project.root / source, [str(name) for name in names])

    def make(folder: Path) -> Mapping[str, Any]:
        np.save(folder / "y.npy", rows)
        return {}

    digest = hashlib.sha256(dataset.digest.encode() + rows.tobytes()).hexdigest()
    kept = run.obtain("annotations", {"boxes": digest}, make)
    return replace(dataset, labels=kept.path / "y.npy", digest=digest)


def _rows(run: Run, path: Path, names: Sequence[str]) -> npt.NDArray[Any]:
    """Read the text of each picture where labels are texts, else its boxes."""
    if texts.is_text_task(run):
        return transcripts(path, names)
    return read(path, names, data.read_labels(run.project.data.labels, run.project.root))
