"""Magnitude pruning by TFMOT: each layer's smallest weights become zero.

Source: Zhu and Gupta (2017), "To prune, or not to prune", for the polynomial schedule.
"""

from __future__ import annotations

from typing import Any

from edgekit.compression.scheme import Context, LayerPlan, kernels, layer_plan, workable
from edgekit.compression.scope import check_scopes, setting
from edgekit.models.wrappers import import_tfmot
from edgekit.project.compress import PruneTable

# With fewer steps a schedule has nothing to spread over.
FEWEST_STEPS = 4


class Prune:
    """A share of zeros, N zeros in every M weights, or zero blocks; layer by layer."""

    name = "prune"
    learning_rate = 1e-3
    needs_items = False

    def plan(self, model: Any, table: PruneTable) -> tuple[LayerPlan, ...]:
        """Plan a row per layer with kernels. Raises CompressionError if none can be pruned."""
        check_scopes(self.name, model.layers, table.types, table.layers)
        rows = (_row(layer, table) for layer in model.layers if kernels(layer))
        return workable(tuple(rows), "pruned")

    def wrap(
        self, model: Any, table: PruneTable, plan: tuple[LayerPlan, ...], context: Context
    ) -> Any:
        """Add a mask per pruned kernel, set at once if no training follows."""
        import tf_keras

        tfmot = import_tfmot()
        shares = {row.layer: row.value for row in plan if row.value}

        def wrapped(layer: Any) -> Any:
            if layer.name not in shares:
                return layer
            return tfmot.sparsity.keras.prune_low_magnitude(
                layer,
                pruning_schedule=self._schedule(table, shares[layer.name], context.steps),
                block_size=table.block,
                sparsity_m_by_n=table.n_of_m if table.pattern else None,
            )

        masked = tf_keras.models.clone_model(model, clone_function=wrapped)
        if not context.steps:
            for layer in masked.layers:
                if hasattr(layer, "pruning_obj"):
                    # TFMOT sets the masks of an N:M pattern at step 1 and at no other.
                    layer.pruning_step.assign(1)
                    layer.pruning_obj.conditional_mask_update()
                    layer.pruning_obj.weight_mask_op()
        return masked

    def _schedule(self, table: PruneTable, share: float | None, steps: int) -> Any:
        keras = import_tfmot().sparsity.keras
        if table.schedule == "constant" or steps < FEWEST_STEPS:
            return keras.ConstantSparsity(share, begin_step=0, frequency=1)
        return keras.PolynomialDecay(
            initial_sparsity=0.0,
            final_sparsity=share,
            begin_step=0,
            end_step=self.settled(table, steps),
            frequency=max(1, steps // 50),
        )

    def callbacks(self, folder: str | None) -> list[Any]:
        """Return TFMOT's step counter, and its summaries of sparsity for TensorBoard."""
        keras = import_tfmot().sparsity.keras
        shown = [keras.PruningSummaries(log_dir=folder)] if folder else []
        return [keras.UpdatePruningStep(), *shown]

    def settled(self, table: PruneTable, steps: int) -> int:
        """Return the half of the steps, after which training recovers at full sparsity."""
        return steps // 2 if table.schedule == "polynomial" else 0

    def strip(self, wrapped: Any, model: Any, plan: tuple[LayerPlan, ...]) -> Any:
        """Return the model without masks."""
        return import_tfmot().sparsity.keras.strip_pruning(wrapped)


def _row(layer: Any, table: PruneTable) -> LayerPlan:
    share = setting(layer.name, type(layer).__name__, table.share, table.types, table.layers)
    left_out = "left out by [compress] prune"
    return layer_plan(
        layer, share, left_out, lambda arrays: _refusal(layer, table, [a.shape for a in arrays])
    )


def _refusal(layer: Any, table: PruneTable, shapes: list[tuple[int, ...]]) -> str:
    """Say why TFMOT cannot prune a layer; most of these it would skip without an error."""
    import_tfmot()
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import (
        PruneRegistry,
    )

    kind = type(layer).__name__
    if "Depthwise" in kind:
        return "TFMOT never prunes depthwise kernels"
    if not hasattr(layer, "get_prunable_weights"):
        if not PruneRegistry.supports(layer):
            return f"TFMOT cannot prune a {kind}"
        PruneRegistry.make_prunable(layer)
    prunable = [tuple(weight.shape) for weight in layer.get_prunable_weights()]
    if not prunable:
        return f"TFMOT prunes nothing in a {kind}"
    if table.block != (1, 1) and any(len(shape) != 2 for shape in prunable):
        return f"blocks are for two-dimensional kernels; this one's is {list(shapes[0])}"
    if not table.pattern:
        return ""
    if any(len(shape) not in (2, 4) for shape in prunable):
        return f"{table.pattern} is for kernels of 2 or 4 dimensions; this one has {shapes[0]}"
    inputs, group = min(shape[-2] for shape in prunable), table.n_of_m[1]
    if inputs < group:
        return f"{table.pattern} works along the input channels, and it has {inputs} of them"
    return ""
