"""Resource variables: state that lies outside the graphs, behind handles.

Source: VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE of the TensorFlow Lite schema. One variable
may have a handle in each graph, all with its container and its shared name.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.converters.flatbuffer import Graph, Node, Tensor, TFLiteFile
from edgekit.converters.inspection.shapes import node_name, size


def resources(file: TFLiteFile) -> Mapping[str, int]:
    """Return the bytes of each resource variable, by its name; 0 if no graph tells its size."""
    names: dict[tuple[str, str], str] = {}
    sizes: dict[tuple[str, str], int] = {}
    for graph in file.graphs:
        handles: dict[int, tuple[str, str]] = {}
        for node in graph.nodes:
            if node.operator == "VAR_HANDLE" and node.outputs:
                key = _key(graph, node)
                handles[node.outputs[0]] = key
                names.setdefault(key, key[1] or node_name(graph, node))
                sizes.setdefault(key, 0)
            elif node.operator in ("READ_VARIABLE", "ASSIGN_VARIABLE") and node.inputs:
                handle, value = handles.get(node.inputs[0]), _value(graph, node)
                if handle is not None and value is not None:
                    sizes[handle] = max(sizes[handle], size(value) or 0)
    return {_unique(names, key): count for key, count in sizes.items()}


def _key(graph: Graph, node: Node) -> tuple[str, str]:
    shared = str(node.options.get("shared_name", ""))
    # Without a name each handle is a variable of its own.
    return str(node.options.get("container", "")), shared or node_name(graph, node)


def _value(graph: Graph, node: Node) -> Tensor | None:
    """Return the tensor that is read from a variable, or assigned to it."""
    at = node.outputs[:1] if node.operator == "READ_VARIABLE" else node.inputs[1:2]
    return graph.tensors[at[0]] if at and at[0] >= 0 else None


def _unique(names: Mapping[tuple[str, str], str], key: tuple[str, str]) -> str:
    alike = [one for one, name in names.items() if name == names[key]]
    return names[key] if len(alike) == 1 else f"{key[0]}/{names[key]}"
