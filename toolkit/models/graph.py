"""The operators of a SavedModel that would run, by name, before anything loads it. In the worker.

What runs is what its signature computes, and what TensorFlow does while it loads: it creates and
fills tables, and restores what is saved with functions of its own. Functions that nothing of this
calls (a Keras model's traced layers, the saver) never run, and are not looked at. A vocabulary file
is read as a table is filled (InitializeTableFromTextFileV2): that is how SavedModels keep tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgekit.errors import ModelError, did_you_mean
from edgekit.models.safety import OPERATORS

LOADING = ("_initialize", "_create_resource", "_destroy_resource", "initializer")
SAVER = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints"})
INIT_SIGNATURE = "__saved_model_init_op"
SERVING = "serving_default"


def check(path: Path, signature: str | None, trust: bool) -> str:
    """The name of the signature to use.

    Raises :class:`ModelError` where the folder cannot be read, has no such signature, or holds
    operators that touch files or call Python and is not trusted.
    """
    graphs = _read(path)
    name = _choose(path, signature, graphs[0].signature_def)
    if not trust:
        refused = sorted(set(_operators(graphs, name)) & OPERATORS)
        if refused:
            hint = (
                "such operators read or write files, or call Python, wherever the model runs: use"
                "\n--trust if you know who made it, or export it again without them"
            )
            message = f"{path} holds the operator {', '.join(refused)}"
            raise ModelError("EK-MODEL-014", message, hint)
    return name


def _read(path: Path) -> list[Any]:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        if not saved.meta_graphs:
            raise DecodeError("it holds no graph")
    except DecodeError as error:
        hint = f"saved_model.pb is truncated or damaged: {error}"
        raise ModelError("EK-MODEL-008", f"{path} cannot be loaded", hint) from error
    return list(saved.meta_graphs)


def _choose(path: Path, signature: str | None, found: Mapping[str, Any]) -> str:
    names = sorted(name for name in found if not name.startswith("__"))
    wanted = signature or SERVING
    if wanted in names:
        return wanted
    hint = f"its signatures: {', '.join(names) or 'none'}"
    if not names:
        hint += "; save it with signatures={'serving_default': function.get_concrete_function()}"
    elif signature is None:
        hint += "; choose one with --signature NAME, or [model] signature"
    guess = did_you_mean(wanted, names) if signature else ""
    raise ModelError("EK-MODEL-011", f"{path} has no signature {wanted!r}{guess}", hint)


def _operators(graphs: list[Any], signature: str) -> Iterator[str]:
    """The operators that run; all but the saver's where TensorFlow 1 wrote the graphs."""
    if len(graphs) == 1 and graphs[0].HasField("object_graph_def"):
        yield from _reachable(graphs[0], signature)
        return
    for graph in graphs:
        bodies = [graph.graph_def.node, *(f.node_def for f in graph.graph_def.library.function)]
        yield from (str(node.op) for body in bodies for node in body if node.op not in SAVER)


def _reachable(graph: Any, signature: str) -> Iterator[str]:
    """The operators that the signature, and loading the folder, run."""
    nodes = {node.name: node for node in graph.graph_def.node}
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    wanted = [tensor.name for tensor in graph.signature_def[signature].outputs.values()]
    if INIT_SIGNATURE in graph.signature_def:
        wanted += [t.name for t in graph.signature_def[INIT_SIGNATURE].outputs.values()]
    waiting = list(_run_at_load(graph.object_graph_def))
    for node in _upstream(nodes, wanted):
        yield str(node.op)
        waiting += [node.op, *_called(node)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            yield str(node.op)
            waiting += [node.op, *_called(node)]


def _upstream(nodes: Mapping[str, Any], wanted: Iterable[str]) -> Iterator[Any]:
    waiting, seen = list(wanted), set()
    while waiting:
        name = waiting.pop().lstrip("^").partition(":")[0]
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        yield nodes[name]
        waiting += nodes[name].input


def _called(node: Any) -> Iterator[str]:
    """The functions that a node's attributes name."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for one in value.list.func:
            yield one.name


def _run_at_load(objects: Any) -> Iterator[str]:
    """The functions that run while the objects of a SavedModel are restored."""
    for one in objects.nodes:
        numbers = [child.node_id for child in one.children if child.local_name in LOADING]
        for saved in one.saveable_objects.values():
            numbers.append(saved.restore_function)
        for number in numbers:
            if 0 <= number < len(objects.nodes):
                called = objects.nodes[number]
                yield from called.function.concrete_functions
                if called.bare_concrete_function.concrete_function_name:
                    yield called.bare_concrete_function.concrete_function_name
