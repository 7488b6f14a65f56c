"""Forecast whether a runtime runs a compressed model faster, before anyone trains it.

Source for XNNPACK: "XNNPACK backend for TensorFlow Lite", section "Sparse Inference".
"""

from __future__ import annotations

from typing import Any

import numpy as np

FEWEST_ZEROS = 2 / 3
ELEMENTWISE = frozenset(
    (
        "Activation Add BatchNormalization Dropout ELU InputLayer LeakyReLU Multiply ReLU "
        "ZeroPadding2D GlobalAveragePooling2D Dense Softmax"
    ).split()
)


def unmet_sparse_conditions(model: Any) -> list[str]:
    """List what keeps XNNPACK from sparse inference on a pruned tf_keras model.

    Never empty: edgekit's files store weights dense, because the sparse storage of TensorFlow's
    converter made int8 files larger, and no file measured faster.
    """
    unmet = ["it needs float32 weights in sparse storage; edgekit's files store them dense"]
    convolutions = [layer for layer in model.layers if "Conv" in type(layer).__name__]
    first = convolutions[0] if convolutions else None
    if first is None or not _is_stem(first):
        unmet.append("it starts at a 3 x 3 convolution of stride 2 over 3 input channels")
    if not any(type(layer).__name__ == "GlobalAveragePooling2D" for layer in model.layers):
        unmet.append("it ends at a global average pooling")
    others = [layer for layer in model.layers if layer is not first and not _takes_part(layer)]
    if others:
        shown = ", ".join(f"{layer.name} ({type(layer).__name__})" for layer in others[:3])
        unmet.append(f"it has no sparse form of {shown}")
    kernels = [np.asarray(layer.kernel) for layer in convolutions if _is_pointwise(layer)]
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels)
    weights = sum(int(kernel.size) for kernel in kernels)
    if not weights or zeros / weights < FEWEST_ZEROS:
        share = f"{zeros / weights * 100:.0f} %" if weights else "there are none"
        unmet.append(f"two thirds of the 1 x 1 kernels must be zero ({share})")
    return unmet


def _is_stem(layer: Any) -> bool:
    return (
        type(layer).__name__ == "Conv2D"
        and tuple(layer.kernel.shape[:3]) == (3, 3, 3)
        and tuple(layer.strides) == (2, 2)
        and tuple(layer.dilation_rate) == (1, 1)
    )


def _is_pointwise(layer: Any) -> bool:
    return type(layer).__name__ == "Conv2D" and tuple(layer.kernel_size) == (1, 1)


def _takes_part(layer: Any) -> bool:
    kind = type(layer).__name__
    if kind == "DepthwiseConv2D":
        return tuple(layer.kernel_size) in ((3, 3), (5, 5))
    return kind in ELEMENTWISE or _is_pointwise(layer)


def forecast(
    scheme: str, runtimes: tuple[str, ...], unmet: list[str], before: tuple[str, ...] = ()
) -> str:
    """Describe what a scheme does for speed on the runtimes of a run's targets.

    ``before`` names the schemes that were applied first.
    """
    where = " and ".join(runtimes)
    if scheme == "channels":
        return f"faster on {where}: there is less to compute"
    if scheme == "quantization_aware":
        same = f"as fast as int8 without it on {where}: the operators are the same"
        spread = "; each channel's scale spreads the clusters over more different bytes"
        return same + (spread if "cluster" in before else "")
    if scheme == "cluster":
        return f"not faster on {where}, only smaller when zipped: no kernel there uses clusters"
    if scheme != "prune":
        return f"what {scheme} does for speed on {where} is not known: measure it"
    text = f"not faster on {where}, only smaller when zipped. XNNPACK's sparse inference would"
    return f"{text} need more: {'; '.join(unmet)}"
