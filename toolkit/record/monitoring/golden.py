"""The golden statistics of a bundle, read as those of another hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import RecordError
from edgekit.targets.bundles import monitoring
from edgekit.targets.bundles.contents import MANIFEST
from edgekit.targets.bundles.reading import read_archive

Counts = npt.NDArray[np.int64]
ABSENT, DAMAGED = "EK-RECORD-020", "EK-RECORD-021"


@dataclass(frozen=True)
class GoldenFeature:
    """A feature: the side of the model that it is of, its bins, and the golden items in each."""

    name: str
    side: str
    edges: npt.NDArray[np.float64]
    counts: Counts
    missing: int


@dataclass(frozen=True)
class GoldenClasses:
    """The classes: their names, and the golden items in each; ``feature`` is the confidence."""

    labels: tuple[str, ...]
    counts: Counts
    feature: str


@dataclass(frozen=True)
class Golden:
    """What a bundle says of its golden items; ``document`` is all of it, as a recorder takes it."""

    name: str
    version: str
    target: str
    digest: str
    items: int
    features: Mapping[str, GoldenFeature]
    classes: GoldenClasses | None
    document: Mapping[str, Any]


def read_golden(path: Path) -> Golden:
    """Read the golden statistics of a bundle, of its unpacked folder, or of the file itself.

    Raises :class:`RecordError` where it has none or they are damaged, and :class:`BundleError` for
    an archive that is not one.
    """
    content, target = _content(path)
    try:
        document = monitoring.read_statistics(content)
    except ValueError as error:
        hint = f"{str(error)[:300]}\npack the bundle again: edgekit bundle"
        raise RecordError(DAMAGED, f"{path}: {monitoring.FILE} is damaged", hint) from error
    return parse_golden(document, target)


def parse_golden(document: Mapping[str, Any], target: str = "") -> Golden:
    """Return golden statistics that were read, as what a batch is held against."""
    features = {
        feature["name"]: GoldenFeature(
            feature["name"],
            feature["side"],
            np.array(feature["edges"], np.float64),
            np.array(feature["counts"], np.int64),
            feature["nan"],
        )
        for feature in document["features"]
    }
    told = document["classes"]
    classes = None
    if told is not None:
        counts = np.array(told["counts"], np.int64)
        classes = GoldenClasses(tuple(told["labels"]), counts, told["feature"])
    return Golden(
        document["name"],
        document["version"],
        target,
        document["digest"],
        document["items"],
        features,
        classes,
        document,
    )


def _content(path: Path) -> tuple[bytes, str]:
    """Return the file with the statistics, and the target of the bundle that it is of."""
    if path.is_dir():
        files = {
            name: (path / name).read_bytes()
            for name in (monitoring.FILE, MANIFEST)
            if (path / name).is_file()
        }
    elif path.suffix == ".json" and path.is_file():
        files = {monitoring.FILE: path.read_bytes()}
    else:
        files = read_archive(path)
    if monitoring.FILE not in files:
        message = f"{path} has no golden statistics"
        hint = (
            "an older edgekit made it, or it was made without data: make it again, with"
            " [data] evaluate or --data"
        )
        raise RecordError(ABSENT, message, hint)
    try:
        target = str(json.loads(files.get(MANIFEST, b"{}")).get("target", ""))
    except (ValueError, AttributeError):
        target = ""
    return files[monitoring.FILE], target
