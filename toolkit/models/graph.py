"""Check a whole SavedModel before anything loads it: its signatures, its operators.

Every graph and every function of the file counts, whether or not something is seen to call it:
signatures, restored objects, initialisers, gradients. The one exception are the functions by which
TensorFlow saves and restores variables, where only the file's own saver calls them. In the worker.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgekit.errors import ModelError, did_you_mean
from edgekit.models.allowlist import VOCABULARY, operators
from edgekit.models.graph_file import MAIN, FunctionBodies, called

SERVING = "serving_default"
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Operators that only the saver may use, to read and to write variables.
RESTORING = frozenset({"Restore", "RestoreSlice", "RestoreV2"})
SAVING = frozenset({"Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints"})


def check(path: Path, signature: str | None, trust: bool) -> str:
    """Choose the signature to use, and check that the folder is safe to load.

    Raises :class:`ModelError` where the folder cannot be read, has no such signature, reads files
    of others, or has two tables of signatures that differ; and, unless it is trusted, where it
    holds an operator that does more than compute.
    """
    graphs = _read(path)
    name = _choose(path, signature, graphs[0].signature_def)
    _check_files(path, graphs)
    for graph in graphs:
        _check_tables(path, graph)
    if not trust:
        refused = sorted({op for graph in graphs for op in _refused(graph)})
        if refused:
            hint = (
                "a graph may only compute: these read or write files, call Python, or are not on"
                " edgekit's list of\noperators that do not; use --trust if you know who made it,"
                " or export it again without them"
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


def _choose(path: Path, signature: str | None, signatures: Mapping[str, Any]) -> str:
    names = sorted(name for name in signatures if not name.startswith("__"))
    chosen = signature or (names[0] if len(names) == 1 else SERVING)
    if chosen in names:
        return chosen
    hint = f"its signatures: {', '.join(names) or 'none'}"
    if not names:
        hint += "; save it with signatures={'serving_default': function.get_concrete_function()}"
    elif signature is None:
        hint += "; choose one with --signature NAME, or [model] signature"
    guess = did_you_mean(chosen, names) if signature else ""
    raise ModelError("EK-MODEL-011", f"{path} has no signature {chosen!r}{guess}", hint)


def _check_files(path: Path, graphs: list[Any]) -> None:
    """Refuse assets and links that lead out of the folder."""
    root = path.resolve()
    names = [asset.filename for graph in graphs for asset in graph.asset_file_def]
    outside = [name for name in names if Path(name).name != name]
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            member = Path(folder, name)
            if member.is_symlink() and not member.resolve().is_relative_to(root):
                outside.append(f"{member.relative_to(root)}, a link to {member.resolve()}")
    if outside:
        hint = "a model's folder must hold all it needs: copy it whole, with cp -rL"
        message = f"{path} reads other files: {', '.join(sorted(set(outside)))}"
        raise ModelError("EK-MODEL-014", message, hint)


def _check_tables(path: Path, graph: Any) -> None:
    """Refuse a folder whose graph and objects name different functions for a signature.

    Readers of graphs go by the one table, TensorFlow's loader by the other.
    """
    objects = graph.object_graph_def.nodes
    if not objects:
        return
    ours = dict(_by_graph(graph))
    theirs: dict[str, list[str]] = {}
    for child in objects[0].children:
        if child.local_name == "signatures":
            for entry in objects[child.node_id].children:
                function = objects[entry.node_id].bare_concrete_function.concrete_function_name
                theirs.setdefault(entry.local_name, []).append(function)
    # A model saved with no signatures may have the map, or not.
    differing = [n for n in sorted({*ours, *theirs}) if theirs.get(n) != [ours.get(n)]]
    if differing:
        name = differing[0]
        loads = ", ".join(theirs.get(name, [])) or "none"
        hint = "such a file shows one function and runs another: do not use it"
        message = (
            f"{path} names two functions for the signature {name!r}:"
            f" {ours.get(name) or 'none'} in its graph, {loads} in its objects"
        )
        raise ModelError("EK-MODEL-027", message, hint)


def _by_graph(graph: Any) -> Iterator[tuple[str, str]]:
    """Yield each signature of the graph, with the one function that its outputs come from."""
    nodes = {node.name: node for node in graph.graph_def.node}
    for name, signature in graph.signature_def.items():
        if name.startswith("__"):
            continue
        names = {tensor.name.partition(":")[0] for tensor in signature.outputs.values()}
        sources = [nodes[one] for one in names if one in nodes]
        functions = {n.attr["f"].func.name if n.op in CALLS else f"the {n.op}" for n in sources}
        yield name, ", ".join(sorted(functions))


def _refused(graph: Any) -> Iterator[str]:
    """Yield the operators of one graph that it may not hold."""
    bodies = FunctionBodies.of(graph)
    saver = _Saver(bodies, graph.saver_def)
    assets = frozenset(asset.tensor_info.name for asset in graph.asset_file_def)
    for body, node in bodies.nodes():
        if node.op in VOCABULARY:
            if not bodies.is_given(body, node.input[1], assets):
                yield f"{node.op} of another file than the model's own"
        elif node.op in bodies.functions:
            if _is_registered(node.op):
                yield f"{node.op}, a function named like an operator"
        elif node.op not in operators() and not saver.owns(body, node):
            yield str(node.op)


def _is_registered(name: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(name) is not None


class _Saver:
    """The saver of variables: functions of TensorFlow 2, nodes of TensorFlow 1.

    It is the saver only where nothing else calls it, and where it goes by the path it is given.
    """

    def __init__(self, bodies: FunctionBodies, definition: Any) -> None:
        self._bodies = bodies
        self._places: dict[tuple[str, str], frozenset[str]] = {}
        run = bodies.upstream(_run_by(bodies, definition))
        for tensor, allowed in (
            (definition.save_tensor_name, SAVING),
            (definition.restore_op_name, RESTORING),
        ):
            for name in bodies.upstream([tensor]) - run:
                self._places[MAIN, name] = allowed
            place = (MAIN, tensor.partition(":")[0])
            node = bodies.node(*place)
            for function in called(node) if node is not None else ():
                if bodies.callers(function) == [place]:
                    for one in bodies.functions[function].node_def:
                        self._places[function, one.name] = allowed

    def owns(self, body: str, node: Any) -> bool:
        """Tell whether a node is the saver's, and goes by no path of its own."""
        if node.op not in self._places.get((body, node.name), ()):
            return False
        paths = self._bodies.texts(body, node.input[0])
        return not any(b"/" in p[:1] or b".." in p or b":" in p or b"~" in p for p in paths)


def _run_by(bodies: FunctionBodies, definition: Any) -> list[str]:
    """Return the tensors of the main graph that others than the saver fetch."""
    saver = {definition.save_tensor_name, definition.restore_op_name}
    return [tensor for tensor in bodies.fetched if tensor not in saver]
