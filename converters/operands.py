"""What a node reads and writes, as the rules about operators ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.converters.flatbuffer import Graph, Node, Tensor

# Of the schema's TensorType.
INT32 = 2


@dataclass(frozen=True)
class Operands:
    """What a node reads and writes, by position; absent where it leaves one out."""

    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    options: Mapping[str, int | float | bool | str | tuple[int, ...]]

    @classmethod
    def of(cls, graph: Graph, node: Node) -> Operands:
        """Look up the tensors of a node."""
        inputs, outputs = (
            tuple(graph.tensors[i] if i >= 0 else None for i in indices)
            for indices in (node.inputs, node.outputs)
        )
        return cls(inputs, outputs, node.options)

    def input(self, at: int) -> Tensor | None:
        return self.inputs[at] if at < len(self.inputs) else None

    def output(self, at: int = 0) -> Tensor | None:
        return self.outputs[at] if at < len(self.outputs) else None

    def kind(self, at: int) -> str:
        """Return the dtype of an input; empty if it is left out."""
        tensor = self.input(at)
        return tensor.dtype if tensor is not None else ""

    def rank(self, at: int = 0) -> int:
        tensor = self.input(at)
        return len(tensor.shape) if tensor is not None else 0

    def has(self, option: str) -> bool:
        return bool(self.options.get(option, False))

    @property
    def narrow_bias(self) -> bool:
        """Whether 16-bit activations meet 32-bit biases; 64-bit ones are what old kernels take."""
        return self.options.get("quantized_bias_type", 0) == INT32

    @property
    def ranks(self) -> int:
        """The highest rank of its inputs."""
        return max((self.rank(at) for at in range(len(self.inputs))), default=0)

    @property
    def broadcasts(self) -> bool:
        first, second = self.input(0), self.input(1)
        return first is not None and second is not None and first.shape != second.shape


def per_channel(tensor: Tensor | None) -> bool:
    """Tell whether the tensor has a scale per channel, more than one."""
    quantization = tensor.quantization if tensor is not None else None
    return quantization is not None and quantization.per_channel


def blockwise(tensor: Tensor | None) -> bool:
    """Tell whether the tensor has a scale per block."""
    quantization = tensor.quantization if tensor is not None else None
    return quantization is not None and quantization.block_size > 0


def quantized(tensor: Tensor | None) -> bool:
    """Tell whether the tensor is there and has a scale."""
    return tensor is not None and tensor.quantization is not None


def hybrid(o: Operands, weights: int = 1) -> bool:
    """Tell whether integer weights meet float activations, quantized at run time."""
    return o.kind(0) == "FLOAT32" and o.kind(weights) in ("INT8", "INT4", "INT2")
