"""What a ``.tflite`` file really holds, read from its bytes.

Source: the TensorFlow Lite schema, version 3 (``schema.fbs``).
"""

from edgekit.converters.flatbuffer.contents import (
    FLOATS,
    Graph,
    Node,
    Quantization,
    Signature,
    Tensor,
    TFLiteFile,
)
from edgekit.converters.flatbuffer.reader import operator_code, operator_names, parse, read
from edgekit.converters.flatbuffer.semantics import semantic_hash

__all__ = [
    "FLOATS",
    "Graph",
    "Node",
    "Quantization",
    "Signature",
    "TFLiteFile",
    "Tensor",
    "operator_code",
    "operator_names",
    "parse",
    "read",
    "semantic_hash",
]
