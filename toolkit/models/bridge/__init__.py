"""The bridge between Keras generations: a tf_keras twin for TFMOT, and the way back.

A model crosses layer by layer (:mod:`crossing`), by tables of what is the same in both
(:mod:`layers`, :mod:`operations`). Equality is proven on numbers (:mod:`proof`), never assumed, and
the twin's weights go back into a model of the original's kind (:mod:`weights`).
"""

from edgekit.models.bridge.crossing import Crossing, to_tf_keras
from edgekit.models.bridge.proof import EquivalenceProof, prove_equal
from edgekit.models.bridge.weights import carry_back

__all__ = ["Crossing", "EquivalenceProof", "carry_back", "prove_equal", "to_tf_keras"]
