"""The graphs and functions in a SavedModel's file, and how they call each other. In the worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# The main graph's name among the functions.
MAIN = ""
# Operators that pass a text on unchanged; and those whose value comes from outside of the graph.
PASSING = frozenset({"Identity", "ReadVariableOp"})
OUTER = frozenset({"Placeholder", "VarHandleOp"})

NodeKey = tuple[str, str]


def called(node: Any) -> Iterator[str]:
    """Yield the functions that a node's attributes name."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for one in value.list.func:
            yield one.name


@dataclass(frozen=True)
class FunctionBodies:
    """The nodes of a graph and of its functions, by body and name.

    ``fetched`` are the tensors that signatures and initialisers fetch from the main graph.
    """

    all_nodes: tuple[tuple[str, Any], ...]
    functions: Mapping[str, Any]
    by_name: Mapping[NodeKey, Any]
    calls: Mapping[str, list[NodeKey]]
    fetched: tuple[str, ...]

    @classmethod
    def of(cls, graph: Any) -> FunctionBodies:
        """Read the bodies of one MetaGraphDef."""
        functions = {f.signature.name: f for f in graph.graph_def.library.function}
        nodes = [(MAIN, node) for node in graph.graph_def.node]
        for function in graph.graph_def.library.function:
            nodes += [(function.signature.name, node) for node in function.node_def]
        by_name = {(body, node.name): node for body, node in nodes}
        calls: dict[str, list[NodeKey]] = {}
        for place, node in by_name.items():
            for name in {node.op, *called(node)} & functions.keys():
                calls.setdefault(name, []).append(place)
        fetched = [t.name for s in graph.signature_def.values() for t in s.outputs.values()]
        for collection in graph.collection_def.values():
            fetched += list(collection.node_list.value)
        return cls(tuple(nodes), functions, by_name, calls, tuple(fetched))

    def nodes(self) -> Iterator[tuple[str, Any]]:
        """Yield all nodes, with the name of their body."""
        yield from self.all_nodes

    def node(self, body: str, name: str) -> Any | None:
        """Return one node; None if there is none of this name."""
        return self.by_name.get((body, name))

    def callers(self, function: str) -> list[NodeKey]:
        """Return the nodes that call a function."""
        return self.calls.get(function, [])

    def upstream(self, tensors: Iterable[str], body: str = MAIN) -> set[str]:
        """Return the nodes of a body that tensors are computed from, their own included."""
        waiting, seen = list(tensors), set()
        while waiting:
            name = waiting.pop().lstrip("^").partition(":")[0]
            if name not in seen and (body, name) in self.by_name:
                seen.add(name)
                waiting += self.by_name[body, name].input
        return seen

    def texts(self, body: str, tensor: str) -> list[bytes]:
        """Return the constant texts that a tensor is computed from within its body."""
        texts = []
        for name in self.upstream([tensor], body):
            node = self.by_name[body, name]
            if node.op == "Const":
                texts += list(node.attr["value"].tensor.string_val)
                texts.append(node.attr["value"].tensor.tensor_content)
        return texts

    def is_given(self, body: str, tensor: str, assets: frozenset[str]) -> bool:
        """Tell whether a text is an asset or comes from the loader, and not from the graph."""
        waiting: list[NodeKey] = [(body, tensor)]
        seen: set[NodeKey] = set()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            inside, name = place[0], place[1].partition(":")[0]
            node = self.node(inside, name)
            if node is None:
                waiting += self._handed_over(inside, name)
            elif node.op in PASSING:
                waiting.append((inside, node.input[0]))
            elif node.op not in OUTER and not (inside == MAIN and f"{name}:0" in assets):
                return False
        return True

    def _handed_over(self, function: str, name: str) -> Iterator[NodeKey]:
        """Yield where a function's argument comes from, at each call."""
        definition = self.functions.get(function)
        names = (
            [one.name for one in definition.signature.input_arg] if definition is not None else []
        )
        if name in names:
            for caller, node in self.callers(function):
                inputs = self.by_name[caller, node].input
                if names.index(name) < len(inputs):
                    yield caller, inputs[names.index(name)]
