"""The calls of a Keras model of either generation, nested models inlined."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgekit.errors import CompressionError
from edgekit.models.load import is_keras3

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class ChannelCall:
    """One call of a layer or operation: the numbers of the tensors it reads and writes.

    ``name`` is the layer's path (``inner/conv`` in a nested model), ``kind`` its class or, of a
    TensorFlow function in tf_keras, the function's name. Shapes start with the batch.
    """

    name: str
    kind: str
    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes_in: tuple[Shape, ...]
    shapes_out: tuple[Shape, ...]
    constants: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.name!r} ({self.kind})"

    def positions(self, shape: Shape) -> int:
        """Count the positions at which a kernel is applied, over the axes between batch and
        channels.

        Raises :class:`CompressionError` if the model leaves such a size free.
        """
        sizes = [size for size in shape[1:-1] if size is not None]
        if len(sizes) != len(shape[1:-1]):
            raise CompressionError(
                "EK-COMPRESS-022",
                f"layer {self} works on {list(shape)}: a size is free, so its work is unknown",
                "build the model with a fixed input size; its weights carry over by set_weights",
            )
        return math.prod(sizes)


@dataclass(frozen=True)
class ChannelGraph:
    """A model's calls in an order in which they can run, and its own inputs and outputs."""

    calls: tuple[ChannelCall, ...]
    outputs: tuple[int, ...]


def trace(model: Any) -> ChannelGraph:
    """List the calls of a Sequential or functional model, those of nested models in place.

    Raises :class:`CompressionError` for a model without a layer graph.
    """
    if not is_graph(model):
        built = "has no input shape yet" if _is_sequential(model) else "is a subclassed model"
        raise CompressionError(
            "EK-COMPRESS-021",
            f"{type(model).__name__} {getattr(model, 'name', '')!r} {built}: no layer graph to cut",
            "rebuild it with the Sequential or functional API and an Input",
        )
    walk = _Tracer()
    outputs = walk.model(model, "", None)
    return ChannelGraph(tuple(walk.calls), tuple(outputs))


def is_graph(model: Any) -> bool:
    """Tell whether Keras knows the model's layers and their connections, and runs exactly these."""
    inner = network(model)
    own = getattr(type(model), "call", None)
    keras_calls = getattr(own, "__module__", "").startswith(("keras.", "tf_keras."))
    return bool(keras_calls and getattr(inner, "_nodes_by_depth", None) and inner.inputs)


def network(model: Any) -> Any:
    """Return the functional graph: a Sequential of Keras 3 keeps one inside."""
    return getattr(model, "_functional", None) or model


def input_layers(model: Any) -> list[Any]:
    """Return the InputLayer behind each input, in the model's order."""
    return [tensor._keras_history[0] for tensor in network(model).inputs]


def _is_sequential(model: Any) -> bool:
    return any(kind.__name__ == "Sequential" for kind in type(model).__mro__)


@dataclass
class _Tracer:
    calls: list[ChannelCall] = field(default_factory=list)
    tensors: int = 0

    def fresh(self) -> int:
        self.tensors += 1
        return self.tensors

    def model(self, model: Any, prefix: str, feeds: Sequence[int] | None) -> list[int]:
        """Walk a model; ``feeds`` are the outer tensors that a nested one reads."""
        graph = network(model)
        numbers: dict[int, int] = {}
        for at, tensor in enumerate(graph.inputs):
            layer, number = tensor._keras_history[0], self.fresh()
            numbers[id(tensor)] = number
            shape = _shape(tensor)
            fed = () if feeds is None else (feeds[at],)
            self.calls.append(
                ChannelCall(
                    prefix + layer.name,
                    "InputLayer",
                    layer,
                    fed,
                    (number,),
                    (shape,) * len(fed),
                    (shape,),
                )
            )
        for node in _nodes(graph):
            self.node(node, prefix, numbers)
        return [numbers[id(tensor)] for tensor in graph.outputs]

    def node(self, node: _Node, prefix: str, numbers: dict[int, int]) -> None:
        layer, name = node.layer, prefix + node.layer.name
        reads = tuple(numbers[id(tensor)] for tensor in node.inputs)
        if is_graph(layer) and len(network(layer).inputs) == len(reads):
            written = self.model(layer, f"{name}/", reads)
        else:
            written = [self.fresh() for _ in node.outputs]
            self.calls.append(
                ChannelCall(
                    name,
                    node.kind,
                    layer,
                    reads,
                    tuple(written),
                    tuple(_shape(t) for t in node.inputs),
                    tuple(_shape(t) for t in node.outputs),
                    node.constants,
                )
            )
        numbers.update((id(tensor), n) for tensor, n in zip(node.outputs, written, strict=True))


@dataclass(frozen=True)
class _Node:
    layer: Any
    kind: str
    inputs: list[Any]
    outputs: list[Any]
    constants: tuple[Any, ...]


def _nodes(graph: Any) -> Iterator[_Node]:
    """Yield the graph's nodes without its inputs, each after what it reads."""
    keras3 = is_keras3(graph)
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            read = _keras3(node) if keras3 else _keras2(node)
            if type(read.layer).__name__ != "InputLayer":
                yield read


def _keras3(node: Any) -> _Node:
    tensors = list(node.input_tensors)
    kind = type(node.operation).__name__
    return _Node(
        node.operation,
        kind,
        tensors,
        list(node.output_tensors),
        _constants((node.arguments.args, node.arguments.kwargs), tensors),
    )


def _keras2(node: Any) -> _Node:
    import tensorflow as tf

    tensors = list(node.keras_inputs)
    kind = str(getattr(node.layer, "symbol", None) or type(node.layer).__name__)
    return _Node(
        node.layer,
        kind,
        tensors,
        tf.nest.flatten(node.outputs),
        _constants((node.call_args, node.call_kwargs), tensors),
    )


def _constants(arguments: Any, tensors: list[Any]) -> tuple[Any, ...]:
    """Return a call's arguments that are neither tensors of the graph, names nor None."""
    known = {id(tensor) for tensor in tensors}
    flat = [arguments]
    constants = []
    while flat:
        item = flat.pop()
        if isinstance(item, dict):
            flat.extend(item.values())
        elif isinstance(item, (list, tuple)):
            flat.extend(item)
        elif id(item) not in known and item is not None and not isinstance(item, str):
            constants.append(item)
    return tuple(constants)


def _shape(tensor: Any) -> Shape:
    return tuple(None if size is None else int(size) for size in tensor.shape)
