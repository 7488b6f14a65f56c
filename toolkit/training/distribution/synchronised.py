"""Batch normalization over all replicas, so that the statistics are those of one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgekit.models.load import is_keras3, library


def synchronise(model: Any) -> int:
    """Let each batch normalization see the whole batch; returns how many there are."""
    found = 0
    for layer in flat(model):
        if isinstance(layer, library(model).layers.BatchNormalization):
            layer.synchronized = True
            if not is_keras3(model):
                # The fused kernel sees one replica alone.
                layer.fused = False
            found += 1
    return found


def flat(model: Any) -> Iterator[Any]:
    """Yield every layer of a model, however deep."""
    yield from model._flatten_layers(include_self=False, recursive=True)
