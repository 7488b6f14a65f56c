"""Choose one signature of a ``.tflite`` file, and write a file that holds only that one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgekit.converters.flatbuffer import Graph, TFLiteFile
from edgekit.converters.quantization.editing import AlignedBuffer, decode_text, pack, unpack
from edgekit.errors import ModelError, did_you_mean

DEFAULT = "serving_default"
CODE = "EK-MODEL-011"
# It describes graphs by their number.
BY_GRAPH = "TFLITE_METADATA"


def chosen_signature(path: Path, file: TFLiteFile, requested: str | None) -> str | None:
    """Return the signature to run, as runners choose it; None if a file has none.

    Raises :class:`ModelError` if there is none of that name, or several and no default.
    """
    keys = [signature.key for signature in file.signatures]
    listed = ", ".join(repr(key) for key in sorted(keys)) or "none at all"
    if requested is not None and requested not in keys:
        hint = "leave out --signature" if len(keys) < 2 else f"name one of them: {listed}"
        message = (
            f"{path} has no signature {requested!r}{did_you_mean(requested, keys)}; it has {listed}"
        )
        raise ModelError(CODE, message, hint)
    if requested is None and len(keys) > 1 and DEFAULT not in keys:
        hint = f"choose one with --signature {sorted(keys)[0]!r}"
        raise ModelError(CODE, f"{path} has several signatures: {listed}", hint)
    if requested is not None or not keys:
        return requested
    return DEFAULT if DEFAULT in keys else keys[0]


def entry(
    file: TFLiteFile, signature: str | None
) -> tuple[Graph, tuple[Mapping[str, int], Mapping[str, int]]]:
    """Find the graph that runs; its inputs and outputs by name, each with its tensor's index."""
    if file.signatures:
        named = {one.key: one for one in file.signatures}
        default = named.get("serving_default", file.signatures[0])
        chosen = named.get(signature or "", default)
        return file.graphs[chosen.graph], (chosen.inputs, chosen.outputs)
    main = file.graphs[0]
    return main, (
        {main.tensors[i].name: i for i in main.inputs},
        {main.tensors[i].name: i for i in main.outputs},
    )


def extract_signature(content: bytes, key: str) -> bytes:
    """Return a file that holds one signature: its graph, as the main one, and the graphs it calls.

    TFLM, NPU compilers and quantizers see the main graph only. Raises :class:`ModelError` for a
    file of over 2 GB, whose constants lie behind the flatbuffer.
    """
    model = unpack(content)
    if any(buffer.offset > 1 for buffer in model.buffers):
        hint = "convert the SavedModel that it was made from, with --signature NAME"
        raise ModelError(CODE, f"signature {key!r} cannot be taken out of a file over 2 GB", hint)
    (definition,) = (one for one in model.signatureDefs if decode_text(one.signatureKey) == key)
    order = _reached(model, int(definition.subgraphIndex))
    places = {old: new for new, old in enumerate(order)}
    model.subgraphs = [model.subgraphs[at] for at in order]
    for options, name in (call for graph in model.subgraphs for call in _calls(graph)):
        setattr(options, name, places[int(getattr(options, name))])
    definition.subgraphIndex = 0
    model.signatureDefs = [definition]
    model.metadata = [one for one in model.metadata or [] if decode_text(one.name) != BY_GRAPH]
    _drop_codes(model)
    _drop_buffers(model)
    return pack(model)


def _reached(model: Any, first: int) -> list[int]:
    """Return the numbers of a graph and of those that it calls, itself first."""
    numbers = [first]
    for at in numbers:
        called = (int(getattr(options, name)) for options, name in _calls(model.subgraphs[at]))
        numbers += [number for number in dict.fromkeys(called) if number not in numbers]
    return numbers


def _calls(graph: Any) -> Iterator[tuple[Any, str]]:
    """Find the options of a graph's operators that hold the number of another graph, with their
    names.
    """
    for operator in graph.operators or []:
        for options in (operator.builtinOptions, operator.builtinOptions2):
            for name, value in vars(options).items() if options is not None else ():
                if (name.lower().endswith("subgraphindex") or name == "subgraph") and value >= 0:
                    yield options, name


def _drop_codes(model: Any) -> None:
    """Remove operator codes that no graph uses any more: a runtime may lack one of them."""
    operators = [operator for graph in model.subgraphs for operator in graph.operators or []]
    used = sorted({int(operator.opcodeIndex) for operator in operators})
    for operator in operators:
        operator.opcodeIndex = used.index(int(operator.opcodeIndex))
    model.operatorCodes = [model.operatorCodes[at] for at in used]


def _drop_buffers(model: Any) -> None:
    """Remove constants that nothing reads any more. The first buffer is the empty one."""
    owners = [tensor for graph in model.subgraphs for tensor in graph.tensors or []]
    owners += model.metadata
    used = sorted({0, *(int(owner.buffer) for owner in owners)})
    for owner in owners:
        owner.buffer = used.index(int(owner.buffer))
    model.buffers = [AlignedBuffer.of(model.buffers[at]) for at in used]
    # The buffers of metadata, by an older way to name them.
    model.metadataBuffer = None
