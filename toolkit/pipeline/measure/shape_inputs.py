"""Inputs that tell an operator a size: random numbers would be no size at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import Graph
from edgekit.converters.signature import entry
from edgekit.errors import DataError
from edgekit.types import SavedModel

Shape = npt.NDArray[np.int64]
# Which input of an operator is the shape of its output, whole or its height and width.
# Source: the kernels of these operators in tensorflow/lite/kernels.
WHOLE = {"TRANSPOSE_CONV": 0, "RESHAPE": 1, "BROADCAST_TO": 1, "FILL": 0}
PLANE = {"RESIZE_BILINEAR": 1, "RESIZE_NEAREST_NEIGHBOR": 1}
# Inputs that are places, amounts or orders of dimensions: what fits is not written in the file.
OTHERS = {
    "SLICE": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "TILE": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "MIRROR_PAD": (1,),
    "TRANSPOSE": (1,),
    "EXPAND_DIMS": (1,),
    "RANGE": (0, 1, 2),
}


def shape_inputs(model: SavedModel) -> Mapping[str, Shape]:
    """Find the inputs that are shapes, and the values that the file was made with.

    Raises :class:`DataError`, EK-DATA-061, where such an input is a place or an amount, which the
    file does not tell.
    """
    if not model.is_tflite:
        return {}
    graph, (inputs, _) = entry(flatbuffer.read(model.path), model.signature)
    values = {}
    for name, index in inputs.items():
        if not graph.tensors[index].dtype.startswith("INT") or graph.tensors[index].scale:
            continue
        for operator, position, output in _uses(graph, index):
            shape = graph.tensors[output].shape
            if WHOLE.get(operator) == position:
                values[name] = np.array(shape, np.int64)
            elif PLANE.get(operator) == position:
                values[name] = np.array(shape[1:3], np.int64)
            elif position in OTHERS.get(operator, ()):
                message = (
                    f"input {name!r} is a size or a position for {operator}: no random value fits"
                )
                hint = "give what your app gives: --data FILE.npz"
                raise DataError("EK-DATA-061", message, hint)
    return {
        name: value
        for name, value in values.items()
        if value.shape == graph.tensors[inputs[name]].shape
    }


def _uses(graph: Graph, index: int) -> Iterator[tuple[str, int, int]]:
    """Yield the operators that read a tensor, at which of their inputs, and their first output."""
    for node in graph.nodes:
        for position, read in enumerate(node.inputs):
            if read == index:
                yield node.operator, position, node.outputs[0]
