"""Convert a float ``.tflite`` to another precision, without its source model. In the worker.

Each function writes ``model.tflite`` into a folder. It takes preprocessed items ``[n, ...]`` by
input name, as ``.npy``, where the precision calibrates, and the target's conversion. What makes the
file is imported then: the table of precisions is read by commands that convert nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgekit.converters.quantization.recipe import Rule
from edgekit.types import Conversion

FILE = "model.tflite"
FromFloat = Callable[[Path, Mapping[str, Path], Path, Conversion], Mapping[str, Any]]


def copied(
    model: Path, _feeds: Mapping[str, Path], folder: Path, _conversion: Conversion
) -> Mapping[str, Any]:
    """Leave the file as it is."""
    shutil.copyfile(model, folder / FILE)
    return {}


def by_rule(precision: str) -> FromFloat:
    """Quantize every operator by one rule of ai-edge-quantizer."""

    def make(
        model: Path, feeds: Mapping[str, Path], folder: Path, conversion: Conversion
    ) -> Mapping[str, Any]:
        from edgekit.converters.quantization import edge_quantizer

        dense = conversion.per_channel_dense
        return edge_quantizer.quantize(model, (Rule(precision),), feeds, folder, dense)

    return make


def int16(
    model: Path, feeds: Mapping[str, Path], folder: Path, _conversion: Conversion
) -> Mapping[str, Any]:
    """Quantize to int16 activations and int8 weights."""
    from edgekit.converters.quantization import post_training

    return post_training.quantize_int16(model, feeds, folder)


def in_integers(edge: str) -> FromFloat:
    """Quantize to int8 by TensorFlow's quantizer, with inputs and outputs of a dtype."""

    def make(
        model: Path, feeds: Mapping[str, Path], folder: Path, conversion: Conversion
    ) -> Mapping[str, Any]:
        from edgekit.converters.quantization import calibration, post_training

        calibration.calibrate(model, feeds, folder)
        ranges = folder / calibration.FILE
        per_channel = conversion.granularity == "per-channel"
        post_training.quantize(ranges, folder, inputs=edge, outputs=edge, per_channel=per_channel)
        ranges.unlink()
        return {}

    return make
