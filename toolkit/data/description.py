"""What a dataset holds: shapes, dtypes, ranges, classes, and a sheet of its pictures."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data.dataset import CHUNK, LABELS, Dataset
from edgekit.data.pixels import largest, pixels
from edgekit.data.thumbnails import CHANNELS, SIDE, is_picture
from edgekit.errors import DataError
from edgekit.store import write_bytes

# Labels of more classes than this are numbers to learn, not classes.
MOST_CLASSES = 1000
# A sheet shows so many pictures of a class, of so many classes, or so many in all.
ACROSS, DOWN = 10, 20
CAPTION = 14


@dataclass(frozen=True)
class ArrayFacts:
    """One array: its ``use`` is input, labels or column; ``shape`` is that of an item.

    ``low``, ``high`` and ``mean`` are over all values, None for texts.
    """

    name: str
    use: str
    dtype: str
    shape: tuple[int, ...]
    low: float | None
    high: float | None
    mean: float | None


@dataclass(frozen=True)
class Description:
    """What a dataset holds. ``classes`` are counts of items by class, in the order of numbers."""

    source: str
    count: int
    bytes: int
    digest: str
    arrays: tuple[ArrayFacts, ...]
    classes: Mapping[str, int]
    notices: tuple[str, ...]


def describe(dataset: Dataset) -> Description:
    """Describe a dataset; its files are read once, a block at a time."""
    paths = [("input", name, path) for name, path in dataset.arrays.items()]
    if dataset.labels is not None:
        paths.append(("labels", LABELS, dataset.labels))
    paths += [("column", name, path) for name, path in (dataset.beside or {}).items()]
    return Description(
        source=dataset.source,
        count=dataset.count,
        bytes=sum(path.stat().st_size for _, _, path in paths),
        digest=dataset.digest,
        arrays=tuple(_facts(use, name, path) for use, name, path in paths),
        classes=_classes(dataset),
        notices=dataset.notices,
    )


def _facts(use: str, name: str, path: Path) -> ArrayFacts:
    rows = np.load(path, mmap_mode="r")
    low = high = mean = None
    if rows.dtype.kind != "U" and rows.size:
        step = max(1, CHUNK // max(1, rows[:1].nbytes))
        blocks = [_range(rows[at : at + step]) for at in range(0, len(rows), step)]
        low = min(block[0] for block in blocks)
        high = max(block[1] for block in blocks)
        mean = sum(block[2] for block in blocks) / rows.size
    return ArrayFacts(name, use, str(rows.dtype), rows.shape[1:], low, high, mean)


def _range(block: npt.NDArray[Any]) -> tuple[float, float, float]:
    return float(block.min()), float(block.max()), float(block.sum(dtype=np.float64))


def _classes(dataset: Dataset) -> Mapping[str, int]:
    """Count the items of each class, where the labels are classes."""
    if dataset.labels is None:
        return {}
    labels = np.load(dataset.labels, mmap_mode="r")
    if labels.size != len(labels) or labels.dtype.kind not in "iubU":
        return {}
    values, counts = np.unique(labels, return_counts=True)
    if len(values) > min(MOST_CLASSES, max(2, dataset.count // 2)):
        return {}
    counted = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    names = dataset.class_names
    if names:
        return {name: counted[number] for number, name in enumerate(names)}
    return {str(value): counted[value] for value in sorted(counted)}


def write_sheet(dataset: Dataset, path: Path) -> None:
    """Write a contact sheet as PNG: a row of pictures per class, or rows of them all.

    Raises :class:`DataError` where no input is pictures.
    """
    from PIL import Image, ImageDraw

    named = {n: dataset.open(n) for n in dataset.arrays if is_picture(dataset.open(n).shape[1:])}
    if not named:
        shapes = ", ".join(f"{n} {list(dataset.open(n).shape[1:])}" for n in dataset.arrays)
        hint = "a sheet shows pictures: [h, w], or with 1 or 3 channels; leave --sheet out"
        raise DataError(
            "EK-DATA-044", f"{dataset.source} has no pictures: items are {shapes}", hint
        )
    pictures = next(iter(named.values()))
    most = largest(pictures)
    rows = _rows(dataset)
    sheet = Image.new("RGB", (ACROSS * (SIDE + 2), len(rows) * (SIDE + CAPTION + 2)), "white")
    draw = ImageDraw.Draw(sheet)
    for down, (caption, places) in enumerate(rows):
        top = down * (SIDE + CAPTION + 2)
        draw.text((2, top), caption, fill="black")
        for across, place in enumerate(places):
            image = Image.fromarray(pixels(_channels_last(pictures[place]), most))
            scale = SIDE / max(image.size)
            size = tuple(max(1, round(side * scale)) for side in image.size)
            method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
            sheet.paste(
                image.convert("RGB").resize(size, method), (across * (SIDE + 2), top + CAPTION)
            )
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    write_bytes(path, content.getvalue())


def _rows(dataset: Dataset) -> list[tuple[str, list[int]]]:
    """Return captions and item numbers: a row per class, evenly spaced over its items."""
    classes = _classes(dataset)
    if not classes or len(classes) > DOWN:
        shown = _spaced(np.arange(dataset.count), ACROSS * DOWN)
        parts = [shown[at : at + ACROSS] for at in range(0, len(shown), ACROSS)]
        return [(f"items {part[0]} to {part[-1]}", part) for part in parts]
    labels = dataset.open_labels(texts=True).reshape(-1)
    values = range(len(classes)) if dataset.class_names else np.unique(labels)
    return [
        (f"{name}: {count:,}", _spaced(np.flatnonzero(labels == value), ACROSS))
        for value, (name, count) in zip(values, classes.items(), strict=True)
    ]


def _spaced(places: npt.NDArray[Any], most: int) -> list[int]:
    picked = np.linspace(0, len(places), min(most, len(places)), endpoint=False).astype(np.int64)
    return [int(place) for place in places[picked]]


def _channels_last(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    first = image.ndim == 3 and image.shape[2] not in CHANNELS and image.shape[0] in CHANNELS
    return np.moveaxis(image, 0, 2) if first else image
