"""The contents of a ``.tflite`` file: graphs, tensors, operators and constants."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgekit.errors import ModelError
from edgekit.types import Operator

if TYPE_CHECKING:  # numpy is imported where constants are read: the gate reads none
    import numpy as np
    import numpy.typing as npt

FLOATS = frozenset("FLOAT32 FLOAT16 FLOAT64 BFLOAT16 COMPLEX64 COMPLEX128".split())
# Constants of no interest for a file's precision: shapes, axes, paddings.
SMALL = 32
# Operators that keep a state where no tensor is a variable. Source: resource variables in
# ``schema.fbs``; the signal library of TFLM (``tflite-micro/signal/micro/kernels``).
KEEPING = frozenset(
    (
        "ASSIGN_VARIABLE CIRCULAR_BUFFER SignalDelay SignalFramer SignalOverlapAdd SignalStacker "
        "SignalFilterBankSpectralSubtraction"
    ).split()
)
# The types of elements that numpy has, by its names.
NUMPY = frozenset(
    "FLOAT64 FLOAT32 FLOAT16 INT64 INT32 INT16 INT8 UINT64 UINT32 UINT16 UINT8 BOOL COMPLEX64"
    " COMPLEX128".split()
)


@dataclass(frozen=True)
class Quantization:
    """How a tensor's integers stand for reals: ``scale * (value - zero_point)``.

    One scale per tensor, or one per slice along ``axis``. With ``block_size`` the scales are those
    of blocks, and lie in another tensor of the graph: ``block_scales``, else -1.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0
    block_size: int = 0
    block_scales: int = -1

    @property
    def per_channel(self) -> bool:
        return len(self.scales) > 1


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph: its name, dtype (schema name) and shape.

    ``signature_shape`` has -1 where a dimension is free, and is empty where the file gives none.
    ``bytes`` are those of its constant content in ``buffer``, 0 where it is computed. Without
    ``ranked`` the number of its dimensions is free, and its shape is empty.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    index: int = 0
    signature_shape: tuple[int, ...] = ()
    buffer: int = 0
    bytes: int = 0
    variable: bool = False
    sparse: bool = False
    quantization: Quantization | None = None
    ranked: bool = True

    @property
    def scale(self) -> float:
        """Its quantization step; 0 where it is not quantized, or per channel."""
        scales = self.quantization.scales if self.quantization is not None else ()
        return scales[0] if len(scales) == 1 else 0.0

    @property
    def zero_point(self) -> int:
        """The integer that stands for 0.0; 0 where the file gives none."""
        zeros = self.quantization.zero_points if self.quantization is not None else ()
        return int(zeros[0]) if zeros else 0


@dataclass(frozen=True)
class Node:
    """One operator in execution order, with the tensors it reads (-1: left out) and writes.

    ``operator`` is its schema name (``CONV_2D``) or the name of a custom one. ``options`` are the
    schema's, in snake case: ``stride_h``, ``fused_activation_function``.
    """

    operator: str
    version: int
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...] = ()
    options: Mapping[str, int | float | bool | str | tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """One subgraph: the main one, or the body of a loop or a branch."""

    name: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    nodes: tuple[Node, ...]

    def float_operators(self) -> list[str]:
        """List the operators that compute in float, as ``NAME (output tensor)``."""
        return [
            f"{node.operator} ({self.tensors[node.outputs[0]].name})"
            for node in self.nodes
            if any(self.tensors[i].dtype in FLOATS for i in node.outputs if i >= 0)
        ]

    def constants(self) -> list[Tensor]:
        """List the tensors with content that no operator and no input writes."""
        written = {*self.inputs, *(i for node in self.nodes for i in node.outputs)}
        return [t for t in self.tensors if t.bytes and t.index not in written]


@dataclass(frozen=True)
class Signature:
    """A signature: its key, its graph, and tensor indices by input and output name."""

    key: str
    graph: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True)
class TFLiteFile:
    """A file as read back; ``size`` in bytes, ``graphs`` with the main one first."""

    size: int
    version: int
    description: str
    graphs: tuple[Graph, ...]
    signatures: tuple[Signature, ...]
    metadata: Mapping[str, bytes]
    _content: bytes = field(repr=False, compare=False)
    _spans: tuple[tuple[int, int], ...] = field(repr=False, compare=False)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        main = self.graphs[0]
        return tuple(main.tensors[i] for i in main.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        main = self.graphs[0]
        return tuple(main.tensors[i] for i in main.outputs)

    @property
    def signature_outputs(self) -> Mapping[str, Tensor]:
        """The outputs by the name that the signature which runs by itself gives them."""
        return self.outputs_of(None)

    def outputs_of(self, key: str | None) -> Mapping[str, Tensor]:
        """Return the outputs by their names in a signature; without ``key`` in ``serving_default``,
        else in the first. Empty if the file has none of that name.
        """
        signature = self._signature(key)
        if signature is None:
            return {}
        return {n: self.graphs[signature.graph].tensors[i] for n, i in signature.outputs.items()}

    def inputs_of(self, key: str | None) -> Mapping[str, Tensor]:
        """Return the inputs by their names in a signature, which is chosen as for the outputs."""
        signature = self._signature(key)
        if signature is None:
            return {}
        return {n: self.graphs[signature.graph].tensors[i] for n, i in signature.inputs.items()}

    def _signature(self, key: str | None) -> Signature | None:
        by_key = {one.key: one for one in self.signatures}
        first = self.signatures[0].key if self.signatures else ""
        return by_key.get(key or ("serving_default" if "serving_default" in by_key else first))

    @property
    def operators(self) -> tuple[Operator, ...]:
        """Kinds of operators with version and count, those of loops and branches too."""
        counts = collections.Counter((n.operator, n.version) for g in self.graphs for n in g.nodes)
        return tuple(Operator(name, version, n) for (name, version), n in sorted(counts.items()))

    @property
    def float_operators(self) -> tuple[str, ...]:
        return tuple(one for graph in self.graphs for one in graph.float_operators())

    @property
    def weights(self) -> Mapping[str, int]:
        """Bytes of constant tensors by dtype, without shapes, axes and the like."""
        counts: collections.Counter[str] = collections.Counter()
        for tensor in (t for graph in self.graphs for t in graph.constants()):
            if tensor.bytes >= SMALL and tensor.dtype not in ("INT32", "INT64"):
                counts[tensor.dtype] += tensor.bytes
        return dict(counts)

    @property
    def scale_bytes(self) -> int:
        """Bytes of scales (4 each) and zero points (8) of tensors that have one per channel."""
        quantizations = (t.quantization for graph in self.graphs for t in graph.tensors)
        several = [one for one in quantizations if one is not None and len(one.scales) > 1]
        return sum(4 * len(one.scales) + 8 * len(one.zero_points) for one in several)

    @property
    def stateful(self) -> bool:
        """Whether it keeps a state from one run to the next.

        That is in variable tensors, in resource variables that are written while it runs, and in
        operators of TFLM that hold some of their own.
        """
        begin = {
            node.options["init_subgraph_index"]
            for graph in self.graphs
            for node in graph.nodes
            if node.operator == "CALL_ONCE" and "init_subgraph_index" in node.options
        }
        return any(
            any(tensor.variable for tensor in graph.tensors)
            or any(
                node.operator in KEEPING
                and not (node.operator == "ASSIGN_VARIABLE" and number in begin)
                for node in graph.nodes
            )
            for number, graph in enumerate(self.graphs)
        )

    @property
    def buffers(self) -> tuple[int, ...]:
        """The sizes of all buffers in bytes, used or not."""
        return tuple(size for _, size in self._spans)

    def span(self, buffer: int) -> tuple[int, int]:
        """Return where a buffer lies in the file, and its size in bytes."""
        return self._spans[buffer]

    def data(self, tensor: Tensor) -> bytes:
        """Return a tensor's constant content; empty if it is computed."""
        if not tensor.bytes:
            return b""
        at, size = self._spans[tensor.buffer]
        return self._content[at : at + size]

    def array(self, tensor: Tensor) -> npt.NDArray[np.generic] | None:
        """Return a tensor's constant content in its dtype and shape; int4 as int8.

        None where it is computed, sparse, or of a dtype that numpy does not have. Raises
        :class:`ModelError` where the content does not fill the shape.
        """
        import numpy as np

        content = self.data(tensor)
        if not content or tensor.sparse:
            return None
        if tensor.dtype in ("INT4", "UINT4"):
            values = _nibbles(content, tensor.dtype)[: int(np.prod(tensor.shape))]
        elif tensor.dtype in NUMPY:
            kind = np.dtype(tensor.dtype.lower())
            values = np.frombuffer(content[: len(content) // kind.itemsize * kind.itemsize], kind)
        else:
            return None
        if any(size < 0 for size in tensor.shape) or values.size != int(np.prod(tensor.shape)):
            message = (
                f"constant {tensor.name!r} holds {len(content):,} bytes,"
                f" which do not fill its shape {list(tensor.shape)} of {tensor.dtype}"
            )
            raise ModelError("EK-MODEL-003", message, "the file is damaged: make it again")
        return values.reshape(tensor.shape)


def _nibbles(content: bytes, dtype: str) -> npt.NDArray[np.generic]:
    """Unpack two 4-bit integers of each byte, the lower half first."""
    import numpy as np

    packed = np.frombuffer(content, np.uint8)
    halves = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1).astype(np.int8)
    return np.where(halves > 7, halves - 16, halves).astype(np.int8) if dtype == "INT4" else halves
