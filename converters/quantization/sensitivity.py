"""Measure how much each operator by itself loses when it is quantized. In the worker.

One operator at a time is quantized, all others stay float, and the signal-to-noise ratio is taken
at the model's outputs. Source: H. Wu et al., "Integer Quantization for Deep Learning Inference:
Principles and Empirical Evaluation", 2020, section 5.1 (partial quantization).

Three other rankings were tried on a network with an outlier in one channel of an activation that
two layers read, and name other operators. The ratio at each tensor from its own rounding is good at
the very tensor that holds the outlier, which is the signal; what is lost are its other channels,
and that shows behind its readers only. The ratio at each tensor between the whole int8 file and the
float one blames all that comes behind the fault. Leaving one operator float and quantizing the rest
gains nothing: a tensor is float only where its producer and all its readers are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.converters.quantization import post_training
from edgekit.converters.quantization.observation import Floats, Observer
from edgekit.errors import ConversionError

ITEMS = 32
# An operator that loses nothing has no ratio; JSON has no infinity.
LOSSLESS = 200.0


def measure(
    calibrated: Path,
    operators: Sequence[tuple[str, str]],
    feeds: Mapping[str, Path],
    folder: Path,
    progress: Callable[[float, float, str], None] | None = None,
) -> Mapping[str, Any]:
    """Measure ``sqnr``: dB at the outputs by operator's name, over the first 32 items.

    ``calibrated`` and ``operators`` (``kind, name``) are of :func:`calibration.calibrate`,
    ``feeds`` as there. ``folder`` holds one file at a time, and nothing afterwards.
    """
    names = [name for _, name in operators]
    expected = _outputs(calibrated.read_bytes(), feeds)
    ratios = {}
    file = folder / post_training.FILE
    for number, (kind, name) in enumerate(operators):
        if progress:
            progress(number, len(operators), f"sensitivity of {kind}")
        others = [other for other in names if other != name]
        try:
            post_training.quantize(
                calibrated, folder, inputs="float32", outputs="float32", keep_float=others
            )
        except ConversionError:
            # What cannot be quantized loses nothing: it stays float in every file.
            ratios[name] = LOSSLESS
            continue
        ratios[name] = sqnr(expected, _outputs(file.read_bytes(), feeds))
    file.unlink(missing_ok=True)
    return {"sqnr": ratios}


def _outputs(content: bytes, feeds: Mapping[str, Path]) -> list[Floats]:
    """Compute each output of a file on the first items, ``[items, ...]``."""
    observer = Observer(content, inside=False)
    rows = [[observer.read(name) for name in observer.outputs] for _ in observer.run(feeds, ITEMS)]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def sqnr(expected: Sequence[Floats], actual: Sequence[Floats]) -> float:
    """Compute the signal over quantization noise in dB, noise shares averaged over the outputs."""
    shares = []
    for right, ours in zip(expected, actual, strict=True):
        signal = float(np.sum(np.square(right, dtype=np.float64)))
        noise = float(np.sum(np.square(ours - right, dtype=np.float64)))
        shares.append(noise / signal if signal > 0 else float(noise > 0))
    share = sum(shares) / len(shares)
    if not math.isfinite(share):
        return -LOSSLESS
    return min(LOSSLESS, -10 * math.log10(share)) if share > 0 else LOSSLESS
