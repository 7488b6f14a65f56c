"""Two files compared from the inside: their layers one by one, and whether they are one network."""

from edgekit.evaluation.layers.likeness import Likeness, WeightLikeness, same_network
from edgekit.evaluation.layers.parity import LayerParity, MatchedLayer, layer_parity
from edgekit.evaluation.layers.trace import LayerSide

__all__ = [
    "LayerParity",
    "LayerSide",
    "Likeness",
    "MatchedLayer",
    "WeightLikeness",
    "layer_parity",
    "same_network",
]
