"""TFLite Metadata: what a model is, how its inputs are normalised, what its outputs mean.

Source: ``metadata_schema.fbs`` of TensorFlow Lite Support, file identifier M001; what is written
here are fields of its versions 1.0 and 1.1.
"""

from edgekit.converters.metadata.facts import ModelFacts, TensorFacts, normalisation
from edgekit.converters.metadata.read import read_metadata
from edgekit.converters.metadata.write import add_metadata

__all__ = ["ModelFacts", "TensorFacts", "add_metadata", "normalisation", "read_metadata"]
