"""Two files compared from the inside: their layers one by one, and whether they are one network."""

from edgekit.evaluation.layers.parity import Layer, LayerParity, layer_parity
from edgekit.evaluation.layers.same import Likeness, WeightLikeness, same_network
from edgekit.evaluation.layers.trace import LayerSide

__all__ = [
    "Layer",
    "LayerParity",
    "LayerSide",
    "Likeness",
    "WeightLikeness",
    "layer_parity",
    "same_network",
]
