"""Schemes with a planted fault each, which the contract must see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgekit.compression.scheme import Context, LayerPlan
from edgekit.compression.schemes.prune import Prune
from edgekit.project.compress import PruneTable


class ForgetsToPrune(Prune):
    """Gives back the model as it was."""

    def strip(self, wrapped: Any, model: Any, plan: tuple[LayerPlan, ...]) -> Any:
        return model


class ForgetsToStrip(Prune):
    """Leaves its wrappers in."""

    def strip(self, wrapped: Any, model: Any, plan: tuple[LayerPlan, ...]) -> Any:
        return wrapped


class HidesALayer(Prune):
    """Says nothing of the layers it leaves alone, as TFMOT does."""

    def plan(self, model: Any, table: PruneTable) -> tuple[LayerPlan, ...]:
        return tuple(row for row in super().plan(model, table) if row.value)


class IgnoresScope(Prune):
    """Prunes what the user left out."""

    def plan(self, model: Any, table: PruneTable) -> tuple[LayerPlan, ...]:
        return super().plan(model, table.model_copy(update={"layers": {}}))


class LosesZeros(Prune):
    """Forgets what was pruned before it."""

    def wrap(
        self, model: Any, table: PruneTable, plan: tuple[LayerPlan, ...], context: Context
    ) -> Any:
        for layer in model.layers:
            layer.set_weights([weight + 0.01 for weight in layer.get_weights()])
        slight = tuple(replace(row, value=0.01) if row.value else row for row in plan)
        return super().wrap(model, table, slight, context)
