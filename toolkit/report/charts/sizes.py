"""Where a file's bytes are: a treemap of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.charts.axis import Absent
from edgekit.report.charts.frame import ModelChart
from edgekit.report.charts.run import Model, Run
from edgekit.types.details import FileSizes

# Width over height of the picture.
ASPECT = 2.0
REST = "rest of the file"


@dataclass(frozen=True)
class Tile:
    """The bytes of one layer as a rectangle; ``x``, ``y``, ``width``, ``height`` are in 0..1.

    ``layer`` is empty in what is not a layer: ``operator`` then says what it is. ``dtype`` is that
    of most of its bytes.
    """

    layer: str
    operator: str
    dtype: str
    bytes: int
    share: float
    text: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Treemap(ModelChart):
    """A file's bytes by layer, largest first, laid out for a picture of ``aspect``."""

    total: int
    tiles: tuple[Tile, ...]
    aspect: float = ASPECT
    kind: str = "sizes"


@dataclass(frozen=True)
class _Part:
    layer: str
    operator: str
    dtype: str
    bytes: int


def sizes(run: Run, model: Model) -> Treemap | Absent:
    """Draw the bytes of a model's file by layer."""
    title = f"Size by layer: {model.id}"
    file_sizes = run.details_of(model).sizes
    if file_sizes is None or not file_sizes.total:
        return Absent(title, run.why_absent(model, "sizes", "the file was not inspected"))
    parts = sorted(_parts(file_sizes), key=lambda part: (-part.bytes, part.layer, part.operator))
    places = squarified([part.bytes for part in parts], ASPECT)
    tiles = tuple(
        Tile(
            part.layer,
            part.operator,
            part.dtype,
            part.bytes,
            part.bytes / file_sizes.total,
            words.size(part.bytes),
            *place,
        )
        for part, place in zip(parts, places, strict=True)
    )
    return Treemap(title, _text(model, tiles, file_sizes.total), model.id, file_sizes.total, tiles)


def _parts(file_sizes: FileSizes) -> Iterable[_Part]:
    """Yield the bytes of each layer, then those of no layer."""
    by_layer: dict[tuple[str, str], dict[str, int]] = {}
    for tensor in file_sizes.tensors:
        dtypes = by_layer.setdefault((tensor.layer or tensor.tensor, tensor.operator), {})
        dtypes[tensor.dtype] = dtypes.get(tensor.dtype, 0) + tensor.bytes
    for (layer, operator), dtypes in by_layer.items():
        total = sum(dtypes.values())
        if total:
            yield _Part(layer, operator, max(dtypes, key=lambda name: dtypes[name]), total)
    for name, count in file_sizes.rest.items():
        if count:
            yield _Part("", name, "", count)


def _text(model: Model, tiles: Sequence[Tile], total: int) -> str:
    """State which layer takes most, and how few take nine tenths."""
    layers = [tile for tile in tiles if tile.layer]
    if not layers:
        return f"{model.id} holds no weights: {words.size(total)} are its structure."
    first = layers[0]
    text = f"{first.operator} {first.layer} takes most of {model.id}: {first.text}"
    return f"{text} of {words.size(total)}, {words.share(first.share)}."


def squarified(
    amounts: Sequence[float], aspect: float = ASPECT
) -> list[tuple[float, float, float, float]]:
    """Return a rectangle (x, y, width, height; in 0..1) for each positive amount, in its order.

    Amounts are largest first. Rectangles are as square as can be in a picture of ``aspect``, by the
    algorithm of Bruls, Huizing and van Wijk (2000), "Squarified treemaps".
    """
    total = sum(amounts)
    if not total:
        return []
    areas = [amount / total * aspect for amount in amounts]
    x, y, width, height = 0.0, 0.0, aspect, 1.0
    placed: list[tuple[float, float, float, float]] = []
    at = 0
    while at < len(areas):
        side = min(width, height)
        end = at + 1
        while end < len(areas) and _worst(areas[at : end + 1], side) <= _worst(areas[at:end], side):
            end += 1
        row = areas[at:end]
        thickness = sum(row) / side
        along = 0.0
        for area in row:
            length = area / thickness
            if width >= height:
                placed.append((x / aspect, y + along, thickness / aspect, length))
            else:
                placed.append(((x + along) / aspect, y, length / aspect, thickness))
            along += length
        if width >= height:
            x, width = x + thickness, width - thickness
        else:
            y, height = y + thickness, height - thickness
        at = end
    return placed


def _worst(row: Sequence[float], side: float) -> float:
    """Return the largest ratio of sides in a row of areas along a side."""
    total = sum(row)
    return max(side * side * max(row) / total**2, total**2 / (side * side * min(row)))
