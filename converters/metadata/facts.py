"""The facts that a model's metadata states, and the schema's numbers for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit.types import Preprocess

IDENTIFIER = b"M001"
# The name of the model's metadata entry.
ENTRY = "TFLITE_METADATA"
# Every field that is written was in the schema's first version.
MIN_PARSER_VERSION = "1.0.0"

# Of the unions ContentProperties and ProcessUnitOptions.
FEATURE, IMAGE = 1, 2
NORMALIZATION = 1
# Of the enumeration AssociatedFileType.
TENSOR_AXIS_LABELS = 2
ColourSpace = Literal["", "RGB", "GRAYSCALE"]
COLOUR_SPACES: tuple[ColourSpace, ...] = ("", "RGB", "GRAYSCALE")


@dataclass(frozen=True)
class TensorFacts:
    """What is known of an input or output.

    ``mean`` and ``std`` normalise raw values, ``(x - mean) / std``; they, ``minimum`` and
    ``maximum`` have one value, or one a channel. A ``colour_space`` makes it an image, with its
    ``width`` and ``height`` in pixels; without one its content is a feature. ``labels`` name the
    elements along an output's last axis.
    """

    name: str
    description: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    minimum: tuple[float, ...] = ()
    maximum: tuple[float, ...] = ()
    colour_space: ColourSpace = ""
    width: int = 0
    height: int = 0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model; inputs and outputs in the order of the file's main graph."""

    name: str
    description: str = ""
    version: str = ""
    author: str = ""
    license: str = ""
    inputs: tuple[TensorFacts, ...] = ()
    outputs: tuple[TensorFacts, ...] = ()
    min_parser_version: str = MIN_PARSER_VERSION


def normalisation(preprocess: Preprocess) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Convert ``x * scale + offset`` to means and standard deviations, ``(x - mean) / std``.

    One of each, or one per channel. Raises :class:`ValueError` for a scale of zero.
    """
    count = preprocess.channels or 1
    scales, offsets = (
        values if isinstance(values, tuple) else (values,) * count
        for values in (preprocess.scale, preprocess.offset)
    )
    if 0 in scales:
        raise ValueError("a scale of 0 has no standard deviation")
    # Adding zero turns -0.0 into 0.0.
    means = tuple(-offset / scale + 0.0 for scale, offset in zip(scales, offsets, strict=True))
    return means, tuple(1 / scale for scale in scales)
