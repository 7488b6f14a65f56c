"""Items that are not real ones: images without structure, values distributed unlike the others.

Random items calibrate ranges that real ones never fill. Spatial structure is measured by Pearson's
correlation of neighbouring pixels, as Moran's I does with unit weights for neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgekit.data.lint.subset import Array, Subset
from edgekit.types import Advice, TensorSpec

# Neighbours in noise correlate by 0 ± 1/sqrt(pixels); in photographs, digits and spectrograms by
# 0.3 and more along at least one axis.
NONE = 0.1
SOME = 0.2
SMALLEST = 6
MOST_CHANNELS = 4
# Distances of distributions, in standard deviations of the data compared with.
SHIFT = 1.0
SPREAD = 2.5
FEWEST = 10
FEWEST_ITEMS = 2


def lint(subset: Subset, beside: Subset | None) -> Iterator[Advice]:
    """Find EK-LINT-040 and -041 in a subset, beside another where there is one."""
    for spec in subset.specs:
        items = subset.sample(spec)
        if np.dtype(spec.dtype).kind not in "fiu" or not np.isfinite(items).all():
            continue
        structure = correlation(items)
        if structure is not None and structure < NONE:
            yield from _unstructured(subset, beside, spec, items, structure)
        elif beside is not None:
            yield from _unlike(subset, beside, spec, items)


def correlation(items: Array) -> float | None:
    """Return the larger of the two correlations of neighbours, along rows and along columns.

    Of images ``[n, height, width]`` or ``[n, height, width, 1..4]``; nothing for other items, and
    for images of one value.
    """
    if items.ndim == 3:
        items = items[..., None]
    shape = items.shape[1:]
    if len(shape) != 3 or min(shape[:2]) < SMALLEST or shape[2] > MOST_CHANNELS:
        return None
    centred = items.astype(np.float64)
    # An item's own brightness, or a channel's, is not a structure.
    centred -= centred.mean(axis=(1, 2), keepdims=True)
    correlations = [
        _pearson(centred[:, 1:], centred[:, :-1]),
        _pearson(centred[:, :, 1:], centred[:, :, :-1]),
    ]
    return None if any(np.isnan(value) for value in correlations) else max(correlations)


def _pearson(left: Array, right: Array) -> float:
    power = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / power if power > 0 else float("nan")


def _unstructured(
    subset: Subset, beside: Subset | None, spec: TensorSpec, items: Array, structure: float
) -> Iterator[Advice]:
    other = None if beside is None else correlation(beside.sample(spec))
    message = (
        f"{subset.title}: {spec.name!r} looks like noise: neighbouring values correlate by"
        f" {structure:.2f}"
    )
    if other is not None and other > SOME and beside is not None:
        message += f", in the {beside.title} by {other:.2f}"
        fix = "give real items: ranges calibrated on noise do not fit real activations"
        yield Advice("EK-LINT-040", "error", message, fix)
    elif flat(items):
        message += ", and the values are distributed as a random generator's"
        fix = "give real items, or ignore this where the input is not an image"
        yield Advice("EK-LINT-040", "warning", message, fix)


def flat(items: Array) -> bool:
    """Tell whether values are uniform over their range, or normal: the two that random generators
    make.

    By skewness near 0 and an excess kurtosis near -1.2 (uniform) or 0 (normal).
    """
    values = items.astype(np.float64).ravel()
    spread = float(values.std())
    if spread == 0:
        return False
    z = (values - values.mean()) / spread
    skewness, excess = float((z**3).mean()), float((z**4).mean()) - 3
    return abs(skewness) < 0.15 and (abs(excess + 1.2) < 0.15 or abs(excess) < 0.3)


def _unlike(subset: Subset, beside: Subset, spec: TensorSpec, items: Array) -> Iterator[Advice]:
    """Find features whose mean or spread is far from the other subset's."""
    there = beside.sample(spec)
    if np.dtype(spec.dtype).kind != "f" or min(len(items), len(there)) < FEWEST:
        return
    ours, theirs = (a.reshape(len(a), -1).astype(np.float64) for a in (items, there))
    spread = theirs.std(axis=0)
    varied = spread > 1e-9 * max(1e-30, float(np.abs(theirs).max()))
    if not varied.any():
        return
    # Features alike in scale within themselves; the pooled figures do not hang on rare ones.
    shift = float(
        np.median(np.abs(ours.mean(axis=0) - theirs.mean(axis=0))[varied] / spread[varied])
    )
    ratio = float(np.median(ours.std(axis=0)[varied] / spread[varied]))
    if shift < SHIFT and 1 / SPREAD < ratio < SPREAD:
        return
    message = (
        f"{subset.title}: values of {spec.name!r} are distributed differently from the"
        f" {beside.title}: at the median feature the mean is {shift:.2g} standard deviations off,"
        f" the spread {ratio:.2g} times as wide"
    )
    fix = "draw both from the same source: are these random, or from elsewhere?"
    yield Advice("EK-LINT-041", "warning", message, fix)
