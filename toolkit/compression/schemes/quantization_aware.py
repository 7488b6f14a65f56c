"""Quantization-aware training by TFMOT: training sees the rounding that int8 will do.

Source: Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.compression.scheme import Context, Floats, LayerPlan, copy, kernels, workable
from edgekit.compression.scope import check_scopes, setting
from edgekit.errors import CompressionError
from edgekit.models.wrappers import import_tfmot
from edgekit.project.compress import QuantizationAwareTable

# Layers that TFMOT folds a batch normalization into.
FOLDS = ("Conv2D", "DepthwiseConv2D", "Dense", "SeparableConv2D", "SeparableConv1D", "Reshape")
# Variables of the collaborative schemes, which only training needs.
TRAINING_ONLY = ("cluster_centroids_tf", "pulling_indices_tf", "ori_weights_vars_tf", "mask")
# The decay of TFMOT's moving ranges.
DECAY = 0.999
CALIBRATION_ITEMS = 256
CALIBRATION_ROUNDS = 3
NOT_AWARE = "stays float in training; int8 conversion calibrates it"


class QuantizationAware:
    """Fake quantization around every layer that TFMOT knows; the others stay as they are."""

    name = "quantization_aware"
    learning_rate = 1e-4
    needs_items = True

    def plan(self, model: Any, table: QuantizationAwareTable) -> tuple[LayerPlan, ...]:
        """Plan a row per layer with kernels, and per layer left in float.

        Raises :class:`CompressionError` where no layer can be quantized.
        """
        check_scopes(self.name, model.layers, table.types, table.layers)
        refused = _refusals(model, table)
        rows = []
        for layer in model.layers:
            arrays = kernels(layer)
            reason = refused.get(layer.name, "")
            if arrays or reason:
                size = sum(int(kernel.size) for kernel in arrays.values())
                value = None if reason else 1.0
                rows.append(LayerPlan(layer.name, type(layer).__name__, size, value, reason))
        return workable(tuple(rows), "trained quantization-aware")

    def wrap(
        self,
        model: Any,
        table: QuantizationAwareTable,
        plan: tuple[LayerPlan, ...],
        context: Context,
    ) -> Any:
        """Add fake quantization to the model, with ranges from the samples."""
        made = _quantized(model, _left(plan), _scheme(context.before))
        _calibrate(made, context.samples)
        return made

    def callbacks(self, folder: str | None) -> list[Any]:
        """Return no callbacks: ranges train as weights do."""
        return []

    def settled(self, table: QuantizationAwareTable, steps: int) -> int:
        """Return 0: nothing is removed."""
        return 0

    def strip(self, wrapped: Any, model: Any, plan: tuple[LayerPlan, ...]) -> Any:
        """Rebuild the model by TFMOT's default scheme, which reloads; keep weights and ranges."""
        plain = _quantized(model, _left(plan), _scheme(()))
        kept = [w for w in wrapped.weights if not any(n in w.name for n in TRAINING_ONLY)]
        for target, source in zip(plain.weights, kept, strict=True):
            target.assign(source)
        return plain


def _left(plan: tuple[LayerPlan, ...]) -> set[str]:
    """Name the layers that are not quantized."""
    return {row.layer for row in plan if row.reason}


def _scheme(before: tuple[str, ...]) -> Any:
    """Choose the TFMOT scheme that preserves the schemes applied before."""
    combine = import_tfmot().experimental.combine
    if "cluster" in before:
        return combine.Default8BitClusterPreserveQuantizeScheme("prune" in before)
    if "prune" in before:
        return combine.Default8BitPrunePreserveQuantizeScheme()
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_scheme,
    )

    return default_8bit_quantize_scheme.Default8BitQuantizeScheme()


def _quantized(model: Any, left: set[str], scheme: Any) -> Any:
    """Add fake quantization around every layer but those ``left``, in a copy of the model."""
    import tf_keras

    keras = import_tfmot().quantization.keras

    def annotated(layer: Any) -> Any:
        if layer.name in left or isinstance(layer, tf_keras.layers.InputLayer):
            return layer
        return keras.quantize_annotate_layer(layer)

    with keras.quantize_scope():
        # Annotated layers are the model's own: of a copy, so that the model stays as it is.
        marked = tf_keras.models.clone_model(copy(model), clone_function=annotated)
        return keras.quantize_apply(marked, scheme)


def _refusals(model: Any, table: QuantizationAwareTable) -> dict[str, str]:
    """Say by name why layers stay in float: the user's settings, our rules, TFMOT's refusals."""
    import tf_keras

    refused: dict[str, str] = {}
    for layer in model.layers:
        if not isinstance(layer, tf_keras.layers.InputLayer):
            reason = _refusal(layer, table, refused)
            if reason:
                refused[layer.name] = reason
    while len(refused) < len(model.layers) - len(model.inputs):
        try:
            _quantized(model, set(refused), _scheme(()))
            break
        except (RuntimeError, ValueError) as error:
            match = re.search(r"Layer ([^\s:]+):", str(error))
            if not match or match[1] in refused or match[1] not in {v.name for v in model.layers}:
                reason_given = " ".join(str(error).split())[:300]
                message = "TFMOT cannot make this model quantization-aware"
                raise CompressionError(
                    "EK-COMPRESS-012", message, f"it says: {reason_given}"
                ) from error
            refused[match[1]] = f"TFMOT cannot quantize it in this position: {NOT_AWARE}"
    return refused


def _refusal(layer: Any, table: QuantizationAwareTable, refused: Mapping[str, str]) -> str:
    import tf_keras

    import_tfmot()
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry,
    )

    kind = type(layer).__name__
    if not setting(layer.name, kind, True, table.types, table.layers):
        return "left out by [compress] quantization_aware"
    if isinstance(layer, tf_keras.layers.BatchNormalization):
        if _folds(layer, refused):
            return ""
        return f"it follows no linear convolution or dense layer to fold into: {NOT_AWARE}"
    separable = kind in ("SeparableConv1D", "SeparableConv2D")
    registry = default_8bit_quantize_registry.Default8BitQuantizeRegistry()
    if not separable and not registry.supports(layer):
        return f"TFMOT cannot quantize a {kind}: {NOT_AWARE}"
    return ""


def _folds(layer: Any, refused: Mapping[str, str]) -> bool:
    """Tell whether TFMOT folds a batch normalization into the layer before it."""
    before = layer.inbound_nodes[0].inbound_layers
    if isinstance(before, (list, tuple)) or before.name in refused:
        return False
    activation = getattr(getattr(before, "activation", None), "__name__", "linear")
    return (
        type(before).__name__ in FOLDS
        and activation == "linear"
        and len(before.outbound_nodes) == 1
        and len(layer.inbound_nodes) == 1
    )


def _calibrate(model: Any, samples: tuple[Floats, ...]) -> None:
    """Set the ranges of activations from real items.

    TFMOT starts them at -6 and 6 and moves them by a thousandth a step, so that a short training
    ends with ranges that are mostly that guess. A step's own range is recovered from the move.
    Weights and statistics that a pass in training mode changes are put back.
    """
    items = [array[:CALIBRATION_ITEMS] for array in samples]
    before = {id(v): v.numpy() for v in model.weights}
    moving = [v for v in model.weights if _is_moving_range(v)]
    for _ in range(CALIBRATION_ROUNDS):
        old = [v.numpy().astype(np.float64) for v in moving]
        model(items[0] if len(items) == 1 else items, training=True)
        for variable, was in zip(moving, old, strict=True):
            now = variable.numpy().astype(np.float64)
            variable.assign(was - (was - now) / (1 - DECAY))
    ranges = {id(v) for v in model.weights if _name(v).endswith(("_min", "_max"))}
    for variable in model.weights:
        if id(variable) not in ranges:
            variable.assign(before[id(variable)])


def _is_moving_range(variable: Any) -> bool:
    name = _name(variable)
    fixed = "kernel" in name or name.startswith("quantize_layer")
    return name.endswith(("_min", "_max")) and not fixed


def _name(variable: Any) -> str:
    return str(variable.name.split(":")[0].split("/")[-1])
