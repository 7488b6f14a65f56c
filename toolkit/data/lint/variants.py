"""What the data would be, had it been prepared as another model wants it.

Each variant undoes one mistake that is common and silent, and knows the option that mends it.
"""

from __future__ import annotations

import fractions
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekit.data.lint.subset import Array
from edgekit.types import PerChannel, Preprocess, TensorSpec

COLOURS = 3


@dataclass(frozen=True)
class PreprocessVariant:
    """One other preparation of an input: what it is, how to make it, how to get it for good.

    ``table`` is what ``[data] preprocess`` then is, where that can say it.
    """

    title: str
    apply: Callable[[Array], Array]
    fix: str
    table: str = ""


def variants(
    items: Array, spec: TensorSpec, preprocess: Preprocess
) -> tuple[PreprocessVariant, ...]:
    """Return the variants that make sense for items ``[n, ...]``, as given to a float input now.

    Which scalings do is told by the range that the values have.
    """
    if np.dtype(spec.dtype).kind != "f":
        return ()
    scaled = [
        PreprocessVariant(title, _affine(scale, offset), *_options(preprocess, scale, offset))
        for title, scale, offset in _scalings(float(items.min()), float(items.max()))
    ]
    return (*scaled, *_layouts(items, spec))


def _scalings(low: float, high: float) -> list[tuple[str, float, float]]:
    """Return titles, factors and offsets that lead to ranges that models are trained on."""
    unit, largest = 1.0 + 1e-6, max(abs(low), abs(high))
    scalings = []
    if largest > 2.0:
        # As pixels: what is 0..16 or 0..1023 is taken by its own largest value as well.
        scalings.append(("divided by 255", 1 / 255, 0.0))
        if low >= 0:
            scalings.append(("scaled to -1..1 (x/127.5 - 1)", 1 / 127.5, -1.0))
            if largest < 128 or largest > 256:
                scalings.append((f"divided by {largest:g}", 1 / largest, 0.0))
    else:
        scalings.append(("times 255", 255.0, 0.0))
        if low >= 0 and high <= unit:
            scalings.append(("scaled to -1..1 (2x - 1)", 2.0, -1.0))
        if -unit <= low < 0 and high <= unit:
            scalings.append(("scaled to 0..1 ((x + 1)/2)", 0.5, 0.5))
            scalings.append(("scaled to 0..255 ((x + 1)·127.5)", 127.5, 127.5))
    if low >= 0:
        scalings.append((f"inverted ({high:g} - x)", -1.0, high))
    return scalings


def _affine(scale: float, offset: float) -> Callable[[Array], Array]:
    return lambda items: (items * np.float32(scale) + np.float32(offset)).astype(items.dtype)


def _options(preprocess: Preprocess, scale: float, offset: float) -> tuple[str, str]:
    """Return the options that make ``scale·x + offset`` of what the present options make x, and
    the table that does.
    """
    combined = [value * scale for value in _each(preprocess.scale)]
    moved = [value * scale + offset for value in _each(preprocess.offset)]
    text = f"--rescale={','.join(map(number, combined))}"
    if any(abs(value) > 1e-9 for value in moved):
        text += f" --offset={','.join(map(number, moved))}"
    elif preprocess.offset:
        text += " --offset=0"
    table = f"{{ scale = {_listed(combined)}, offset = {_listed(moved)} }}"
    return f"{text} ([data] preprocess = {table})", table


def _each(value: PerChannel) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def _listed(values: list[float]) -> str:
    """Return numbers as the project file has them: one alone, or a list of one per channel."""
    texts = [f'"{number(value)}"' if "/" in number(value) else number(value) for value in values]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def number(value: float) -> str:
    """Return a factor as --rescale reads it: a fraction where it is one, such as 1/255."""
    fraction = fractions.Fraction(value).limit_denominator(100_000)
    if fraction.denominator < 100_000 and abs(float(fraction) - value) <= 1e-9 * abs(value):
        return str(fraction)
    return f"{value:.9g}"


def _layouts(items: Array, spec: TensorSpec) -> list[PreprocessVariant]:
    layouts: list[PreprocessVariant] = []
    if items.ndim != 4:
        return layouts
    count, height, width, channels = items.shape
    if channels == COLOURS:
        fix = f"exchange red and blue in the data: {spec.name}[..., ::-1]"
        layouts.append(PreprocessVariant("red and blue exchanged", lambda x: x[..., ::-1], fix))
    if channels > 1:
        shape = (count, channels, height, width)
        fix = (
            "the data is channels-first and was reshaped where it had to be transposed:"
            f" {spec.name}.reshape(-1, {channels}, {height}, {width}).transpose(0, 2, 3, 1)"
        )
        layouts.append(
            PreprocessVariant(
                "channels-first", lambda x: x.reshape(shape).transpose(0, 2, 3, 1), fix
            )
        )
    return layouts
