"""Where TFLM has each input and output of a model: it numbers them as the main graph does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import Tensor, TFLiteFile
from edgekit.converters.micro.operations import nodes
from edgekit.errors import ConversionError
from edgekit.targets.bundles.archive import Contents
from edgekit.targets.runners.python_runner import TensorInfo

# What the C library carries: the names of ``ek_dtype``.
DTYPES = {
    "FLOAT32": np.dtype(np.float32),
    "INT8": np.dtype(np.int8),
    "UINT8": np.dtype(np.uint8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
}
VARIABLE = "VAR_HANDLE"


@dataclass(frozen=True)
class Place:
    """An input or output by its name in the signature, and its number among those of the array's
    file.
    """

    name: str
    tensor: Tensor
    number: int

    @property
    def info(self) -> TensorInfo:
        """The tensor as the runners know it."""
        found = self.tensor
        return TensorInfo(
            self.number, found.shape, DTYPES[found.dtype], found.scale, found.zero_point
        )

    @property
    def size(self) -> int:
        """How many values it has."""
        return int(np.prod(self.tensor.shape, dtype=np.int64))


@dataclass(frozen=True)
class Places:
    """Inputs and outputs in the order of the bundle's description, and states by both ends."""

    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    states: tuple[tuple[Place, Place], ...]
    resource_variables: int


def places_of(contents: Contents) -> Places:
    """Return where the file in the array has its tensors.

    Raises :class:`ConversionError` for a dtype that the C library does not carry.
    """
    file = flatbuffer.read(contents.model)
    array = flatbuffer.read(contents.compiled) if contents.compiled else file
    states = contents.states
    inputs = _located(
        [one.name for one in (*contents.inputs, *(state.input for state in states))],
        file.inputs_of(contents.signature),
        file.inputs,
        array.inputs,
    )
    outputs = _located(
        [one.name for one in (*contents.outputs, *(state.output for state in states))],
        file.outputs_of(contents.signature),
        file.outputs,
        array.outputs,
    )
    return Places(
        tuple(inputs[one.name] for one in contents.inputs),
        tuple(outputs[one.name] for one in contents.outputs),
        tuple((inputs[one.input.name], outputs[one.output.name]) for one in states),
        _resource_variables(array),
    )


def _located(
    names: list[str],
    signature: Mapping[str, Tensor],
    ordered: tuple[Tensor, ...],
    array: tuple[Tensor, ...],
) -> Mapping[str, Place]:
    """Return places by name; a compiled file has its tensors' names, and often no signature."""
    places = {}
    numbers = {tensor.name: number for number, tensor in enumerate(array)}
    for at, name in enumerate(names):
        tensor = signature.get(name) or ordered[at]
        if tensor.dtype not in DTYPES:
            message = f"{name!r} is {tensor.dtype.lower()}, which the C library does not carry"
            hint = f"give the model inputs and outputs of {', '.join(DTYPES).lower()}"
            raise ConversionError("EK-CONVERT-109", message, hint)
        number = numbers.get(tensor.name, ordered.index(tensor))
        places[name] = Place(name, tensor, number)
    return places


def _resource_variables(file: TFLiteFile) -> int:
    """Count the resource variables of a file, as TFLM's Python interpreter does."""
    named = [node.options.get("shared_name") for _, node in nodes(file) if _is_variable(node)]
    return len(set(named))


def _is_variable(node: flatbuffer.Node) -> bool:
    return node.operator == VARIABLE
