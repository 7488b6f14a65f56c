"""Tiny ``.tflite`` files written with the schema, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

OPERATORS = {k: v for k, v in vars(schema.BuiltinOperator).items() if k.isupper()}
DTYPES = {k: v for k, v in vars(schema.TensorType).items() if k.isupper()}
CLAIM = b"min_runtime_version"


@dataclass
class File:
    """A file under construction: tensors, operators, metadata."""

    tensors: list[Any] = field(default_factory=list)
    nodes: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    metadata: list[Any] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str = "FLOAT32",
        content: npt.NDArray[Any] | None = None,
        scales: npt.NDArray[Any] | None = None,
        axis: int = 0,
    ) -> int:
        """A tensor, constant where it has content; returns its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), DTYPES[dtype]
        tensor.buffer = 0 if content is None else self.buffer(content.tobytes())
        if scales is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = scales.astype(np.float32)
            quantization.zeroPoint = np.zeros(len(scales), np.int64)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def buffer(self, content: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def code(self, operator: str, version: int = 1) -> int:
        """An operator code; a name that the schema does not have is a custom operator."""
        code = schema.OperatorCodeT()
        number = OPERATORS.get(operator, OPERATORS["CUSTOM"])
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
        code.version = version
        if operator not in OPERATORS:
            code.customCode = operator.encode()
        self.codes.append(code)
        return len(self.codes) - 1

    def node(
        self, code: int, inputs: list[int], outputs: list[int], options: str = "", **values: Any
    ) -> None:
        """An operator with options: their class in the schema without ``Options``."""
        node = schema.OperatorT()
        node.opcodeIndex, node.inputs, node.outputs = code, inputs, outputs
        if options:
            node.builtinOptionsType = getattr(schema.BuiltinOptions, f"{options}Options")
            node.builtinOptions = getattr(schema, f"{options}OptionsT")()
            for name, value in values.items():
                setattr(node.builtinOptions, name, value)
        self.nodes.append(node)

    def claim(self, release: str) -> None:
        """Metadata that claims a minimum runtime."""
        row = schema.MetadataT()
        row.name, row.buffer = CLAIM, self.buffer(release.encode().ljust(16, b"\0"))
        self.metadata.append(row)

    def build(self) -> bytes:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.nodes
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model = schema.ModelT()
        model.version, model.operatorCodes, model.subgraphs = 3, self.codes, [graph]
        model.buffers, model.metadata = self.buffers, self.metadata
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def stating(operator: str, version: int) -> bytes:
    """A file that names a version of an operator, and has no node: only a guard looks at it."""
    file = File()
    file.inputs = file.outputs = [file.tensor("x", (1,))]
    file.code(operator, version)
    return file.build()


def dense(bits: str, stated: int = 1, units: int = 16, per_channel: bool = True) -> bytes:
    """A float dense layer on int8 weights, with a claim of release 1.5.0.

    The channels' scales differ by up to 256: a kernel that takes one scale for all is far off.
    """
    rng = np.random.default_rng(7)
    file = File()
    x = file.tensor("x", (1, 32))
    scales = 2.0 ** -rng.integers(2, 11, units) if per_channel else np.array([2.0**-6])
    weights = rng.integers(-127, 128, (units, 32)).astype(np.int8)
    w = file.tensor("weights", weights.shape, bits, weights, scales)
    y = file.tensor("y", (1, units))
    file.inputs, file.outputs = [x], [y]
    file.node(file.code("FULLY_CONNECTED", stated), [x, w, -1], [y], "FullyConnected")
    file.claim("1.5.0")
    return file.build()


def dense_answer(content: npt.NDArray[Any], units: int = 16) -> npt.NDArray[Any]:
    """What :func:`dense` per channel gives for ``[1, 32]`` float inputs, in float."""
    rng = np.random.default_rng(7)
    scales = 2.0 ** -rng.integers(2, 11, units)
    weights = rng.integers(-127, 128, (units, 32)).astype(np.int8)
    return np.asarray(content @ (weights * scales[:, None]).T)


def convolutional() -> bytes:
    """An int8 convolution, a pooling and a dense layer, with scales and constants of every kind."""
    rng = np.random.default_rng(3)
    file = File()
    step = np.array([0.05])
    x = file.tensor("image", (1, 8, 8, 3), "INT8", scales=step)
    kernel = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    w = file.tensor("kernel", kernel.shape, "INT8", kernel, np.full(4, 0.01))
    b = file.tensor("bias", (4,), "INT32", np.arange(4, dtype=np.int32), np.full(4, 0.0005))
    h = file.tensor("features", (1, 8, 8, 4), "INT8", scales=step)
    p = file.tensor("pooled", (1, 4, 4, 4), "INT8", scales=step)
    shape = file.tensor("shape", (2,), "INT32", np.array([1, 64], np.int32))
    flat = file.tensor("flat", (1, 64), "INT8", scales=step)
    dense_kernel = rng.integers(-127, 128, (10, 64)).astype(np.int8)
    dw = file.tensor("dense", (10, 64), "INT8", dense_kernel, np.array([0.01]))
    y = file.tensor("digit", (1, 10), "INT8", scales=step)
    file.inputs, file.outputs = [x], [y]
    file.node(
        file.code("CONV_2D", 3),
        [x, w, b],
        [h],
        "Conv2D",
        strideW=1,
        strideH=1,
        dilationWFactor=1,
        dilationHFactor=1,
    )
    file.node(
        file.code("MAX_POOL_2D", 2),
        [h],
        [p],
        "Pool2D",
        strideW=2,
        strideH=2,
        filterWidth=2,
        filterHeight=2,
    )
    file.node(file.code("RESHAPE"), [p, shape], [flat], "Reshape", newShape=[1, 64])
    file.node(file.code("FULLY_CONNECTED", 4), [flat, dw, -1], [y], "FullyConnected")
    file.claim("1.5.0")
    return file.build()
