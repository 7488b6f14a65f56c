"""Values as the model gets them: their range, and items or channels that say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgekit.data.lint.subset import Array, Subset, listed, share
from edgekit.types import Advice, TensorSpec

# The commonest mistakes are factors of 255 (or 127.5, or 16); natural data differs by far less.
RANGE_RATIO = 10.0
# Items of one value are a fault where they are more than a curiosity.
CONSTANT_SHARE = 0.05
MOST_CHANNELS = 4
SAMPLE_ITEMS = 50


@dataclass(frozen=True)
class ValueSummary:
    """One pass over an input's items: bounds of each, and of each channel over all of them."""

    low: Array
    high: Array
    finite: Array
    same: bool
    channel_low: Array
    channel_high: Array

    @property
    def largest(self) -> float:
        """The largest absolute value, at all but the odd item: the median of the items' own."""
        return float(np.median(np.maximum(np.abs(self.low), np.abs(self.high))))

    @property
    def span(self) -> str:
        return f"{np.min(self.low):.4g} to {np.max(self.high):.4g}"


def summarize(subset: Subset, spec: TensorSpec) -> ValueSummary:
    """Summarize an input over all items, in blocks."""
    low, high, finite, same = [], [], [], True
    first: Array | None = None
    channels: list[tuple[Array, Array]] = []
    for block in subset.blocks(spec):
        flat = block.reshape(len(block), -1)
        first = flat[0].copy() if first is None else first
        low.append(flat.min(axis=1))
        high.append(flat.max(axis=1))
        finite.append(np.isfinite(flat).all(axis=1))
        same = same and bool((flat == first).all())
        by_channel = block.reshape(-1, block.shape[-1]) if block.ndim > 1 else flat
        channels.append((by_channel.min(axis=0), by_channel.max(axis=0)))
    return ValueSummary(
        np.concatenate(low),
        np.concatenate(high),
        np.concatenate(finite),
        same,
        np.min([c[0] for c in channels], axis=0),
        np.max([c[1] for c in channels], axis=0),
    )


def lint(subset: Subset, beside: Subset | None) -> Iterator[Advice]:
    """Find EK-LINT-010 to -016 in a subset, compared with another where there is one."""
    for spec in subset.specs:
        seen = summarize(subset, spec)
        if not seen.finite.all():
            yield _not_finite(subset, spec, seen)
            continue
        if seen.same and len(subset) > 1:
            message = f"{subset.title}: all {len(subset):,} items of {spec.name!r} are the same"
            fix = "give varied real items: one image says nothing of the ranges of the others"
            yield Advice("EK-LINT-015", "error", message, fix)
            continue
        yield from _constant(subset, spec, seen)
        yield from _scaled_twice(subset, spec)
        if beside is not None:
            other = summarize(beside, spec)
            yield from _range(subset, beside, spec, seen, other)
            yield from _dead(subset, beside, spec, seen, other)


def _not_finite(subset: Subset, spec: TensorSpec, seen: ValueSummary) -> Advice:
    wrong = subset.index[~seen.finite]
    message = (
        f"{subset.title}: {len(wrong):,} items of {spec.name!r} are NaN or infinite once they are"
        f" scaled to {spec.dtype} (items {listed(wrong)})"
    )
    fix = "remove or repair those items, or correct --rescale and --offset"
    return Advice("EK-LINT-013", "error", message, fix)


def _constant(subset: Subset, spec: TensorSpec, seen: ValueSummary) -> Iterator[Advice]:
    if int(np.prod(subset.raw(spec).shape[1:])) < 2:
        return
    blank = subset.index[seen.low == seen.high]
    if len(blank):
        severe = len(blank) > CONSTANT_SHARE * len(subset)
        message = (
            f"{subset.title}: {len(blank):,} of {len(subset):,} items of {spec.name!r}"
            f" ({share(len(blank), len(subset))}) are constant (items {listed(blank)})"
        )
        fix = "remove blank items: were they read, cropped or masked wrongly?"
        yield Advice("EK-LINT-014", "warning" if severe else "info", message, fix)


def _scaled_twice(subset: Subset, spec: TensorSpec) -> Iterator[Advice]:
    """Find values within -1..1 that are scaled down once more."""
    raw, factor = subset.raw(spec), subset.preprocess.scale
    scale = max(map(abs, factor)) if isinstance(factor, tuple) else factor
    if np.dtype(spec.dtype).kind != "f" or not 0 < abs(scale) < 1 / RANGE_RATIO:
        return
    items = raw[subset.index[:: max(1, len(subset) // SAMPLE_ITEMS)]]
    low, high = float(items.min()), float(items.max())
    if 0 < max(-low, high) <= 1.0:
        message = (
            f"{subset.title}: values of {spec.name!r} lie within {low:.4g} to {high:.4g}"
            f" already, and are multiplied by {scale:.6g}: scaled twice?"
        )
        fix = "leave out --rescale ([data] preprocess), or give the raw items"
        yield Advice("EK-LINT-012", "error", message, fix)


def _range(
    subset: Subset, beside: Subset, spec: TensorSpec, seen: ValueSummary, other: ValueSummary
) -> Iterator[Advice]:
    if np.dtype(spec.dtype).kind != "f" or min(seen.largest, other.largest) <= 0:
        return
    ratio = seen.largest / other.largest
    if 1 / RANGE_RATIO < ratio < RANGE_RATIO:
        return
    message = (
        f"values of {spec.name!r} are {seen.span} in the {subset.title} and {other.span} in the"
        f" {beside.title}, after scaling: a factor of {max(ratio, 1 / ratio):.3g}"
    )
    fix = "scale both alike: one --rescale holds for all data, so both must be raw or neither"
    yield Advice("EK-LINT-010", "error", message, fix)


def _dead(
    subset: Subset, beside: Subset, spec: TensorSpec, seen: ValueSummary, other: ValueSummary
) -> Iterator[Advice]:
    """Find channels or features that are constant here and vary in the other subset."""
    if len(subset) < 2:
        return
    dead = np.flatnonzero(
        (seen.channel_low == seen.channel_high) & (other.channel_low < other.channel_high)
    )
    # Few items leave rare features of wide tables at one value; a channel of an image never.
    image = subset.raw(spec).ndim >= 4 and len(seen.channel_low) <= MOST_CHANNELS
    if len(dead) and (image or len(dead) > len(seen.channel_low) / RANGE_RATIO):
        message = (
            f"{subset.title}: {len(dead)} of {len(seen.channel_low)} channels of {spec.name!r} hold"
            f" one value in every item, but vary in the {beside.title}: {listed(dead)}"
        )
        fix = "fill the missing channels: were they dropped, masked or written as zero?"
        yield Advice("EK-LINT-016", "warning", message, fix)
