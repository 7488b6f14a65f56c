"""Whether items lie in the range that a quantized input can take."""

from __future__ import annotations

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import Tensor
from edgekit.data import preprocessing
from edgekit.pipeline.measure.given import Given
from edgekit.pipeline.run import Run
from edgekit.types import Advice

LOOK = 100
# Calibration clips outliers on purpose; a tenth of the values is no outlier.
MOST = 0.1


def advise_clipped(run: Run, given: Given) -> None:
    """Tell the user where much of the items is beyond what an input's quantization can take."""
    subject, items = given.subject, given.items
    if subject is None or items is None or not subject.model.is_tflite:
        return
    file = flatbuffer.read(subject.path)
    main = file.graphs[0]
    names = (
        file.signatures[0].inputs
        if file.signatures
        else {main.tensors[i].name: i for i in main.inputs}
    )
    for name, path in items.inputs.items():
        tensor = main.tensors[names[name]]
        if not tensor.scale:
            continue
        low, high = _range(tensor)
        raw = np.load(path, mmap_mode="r")[items.index[:LOOK]]
        real = preprocessing.scaled(raw, items.preprocess).astype(np.float64)
        share = float(np.mean((real < low - tensor.scale) | (real > high + tensor.scale)))
        if share > MOST:
            message = (
                f"{subject.source}: input {name!r} takes {low:.4g} to {high:.4g}, the items are"
                f" {real.min():.4g} to {real.max():.4g}: {100 * share:.0f} % of their values are"
                " clipped"
            )
            rescale, offset = (high - low) / 255, low
            fix = (
                "scale them as in training, with --rescale and --offset (if they are pixels of"
                f" 0..255: --rescale {rescale:.6g} --offset {offset:.6g})"
            )
            run.advise(Advice("EK-NOTE-027", "warning", message, fix))


def _range(tensor: Tensor) -> tuple[float, float]:
    """The reals that a quantized tensor's smallest and largest integer stand for."""
    limits = np.iinfo(tensor.dtype.lower())
    assert tensor.quantization is not None  # noqa: S101  (it has a scale)
    zero = tensor.quantization.zero_points[0] if tensor.quantization.zero_points else 0
    return (int(limits.min) - zero) * tensor.scale, (int(limits.max) - zero) * tensor.scale
