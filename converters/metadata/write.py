"""Write metadata into a ``.tflite`` file, with the label files that it names."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.metadata.facts import (
    COLOUR_SPACES,
    ENTRY,
    FEATURE,
    IDENTIFIER,
    IMAGE,
    NORMALIZATION,
    TENSOR_AXIS_LABELS,
    ModelFacts,
    TensorFacts,
)
from edgekit.converters.quantization.editing import AlignedBuffer
from edgekit.errors import ConversionError

MODEL_IDENTIFIER = b"TFL3"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def add_metadata(model: bytes, facts: ModelFacts) -> bytes:
    """Return the same model with metadata, and with its label files appended as a zip archive.

    ``facts.inputs`` and ``facts.outputs`` are matched by name: the signature's, or the tensors'
    where there is none; what they leave out is described by its name alone. Metadata and files that
    were there before are replaced. Raises :class:`ConversionError` for a name that the model does
    not have, or facts that contradict each other.
    """
    file = flatbuffer.parse(model, "the model")
    ordered = replace(
        facts,
        inputs=_matched(file, facts.inputs, "inputs"),
        outputs=_matched(file, facts.outputs, "outputs"),
    )
    for tensor in (*ordered.inputs, *ordered.outputs):
        _check(tensor)
    names = _label_files(ordered)
    content = _with_entry(model, file, _metadata(ordered, names))
    return content + _zip(ordered, names, len(content))


def _matched(file: TFLiteFile, facts: Sequence[TensorFacts], which: str) -> tuple[TensorFacts, ...]:
    main = file.graphs[0]
    signature = next((s for s in file.signatures if s.graph == 0), None)
    indices = main.inputs if which == "inputs" else main.outputs
    names = {index: main.tensors[index].name for index in indices}
    if signature is not None:
        named: Mapping[str, int] = getattr(signature, which)
        names |= {index: name for name, index in named.items() if index in names}
    by_name = {tensor.name: tensor for tensor in facts}
    unknown = set(by_name) - set(names.values())
    if unknown or len(by_name) != len(facts):
        wrong = ", ".join(map(repr, sorted(unknown))) or "a name twice"
        hint = f"its {which}: {', '.join(names.values())}"
        raise ConversionError("EK-CONVERT-107", f"the model has no {which} {wrong}", hint)
    return tuple(by_name.get(names[index], TensorFacts(names[index])) for index in indices)


def _check(tensor: TensorFacts) -> None:
    problem = ""
    if len(tensor.mean) != len(tensor.std) or any(std == 0 for std in tensor.std):
        problem = "mean and std must be as many, and no std 0"
    elif any("\n" in label or "\r" in label for label in tensor.labels):
        problem = "a label has more than one line"
    elif tensor.colour_space and not (tensor.width > 0 and tensor.height > 0):
        problem = "an image has a width and a height"
    if problem:
        message = f"{tensor.name!r} has metadata that contradicts itself: {problem}"
        raise ConversionError("EK-CONVERT-107", message)


def _label_files(facts: ModelFacts) -> Mapping[str, str]:
    """Name the label file of each tensor that has labels, by the tensor's name."""
    labelled = [t.name for t in (*facts.inputs, *facts.outputs) if t.labels]
    if len(labelled) == 1:
        return {labelled[0]: "labels.txt"}
    return {
        name: f"labels_{k}_{re.sub(r'[^A-Za-z0-9]+', '_', name)}.txt"
        for k, name in enumerate(labelled)
    }


def _with_entry(model: bytes, file: TFLiteFile, metadata: bytes) -> bytes:
    """Pack the model anew with its metadata entry."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    if any(buffer.offset > 1 for buffer in tree.buffers):
        message = "the model is over 2 GB: its constants lie behind the flatbuffer"
        raise ConversionError("EK-CONVERT-107", message, "metadata can be added to smaller ones")
    entries = tree.metadata or []
    entry = next((e for e in entries if e.name == ENTRY.encode()), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = ENTRY, len(tree.buffers)
        tree.buffers.append(schema.BufferT())
        tree.metadata = [*entries, entry]
    tree.buffers = [AlignedBuffer.of(buffer) for buffer in tree.buffers]
    tree.buffers[entry.buffer] = AlignedBuffer(metadata)
    builder = flatbuffers.Builder(file.size + len(metadata))
    builder.Finish(tree.Pack(builder), MODEL_IDENTIFIER)
    return bytes(builder.Output())


def _zip(facts: ModelFacts, names: Mapping[str, str], offset: int) -> bytes:
    """Build the archive of label files that follows ``offset`` bytes of model."""
    if not names:
        return b""
    buffer = io.BytesIO()
    # Appending to what is not an archive yet makes offsets count from the file's start.
    buffer.write(bytes(offset))
    with zipfile.ZipFile(buffer, "a") as archive:
        for tensor in (*facts.inputs, *facts.outputs):
            if tensor.labels:
                entry = zipfile.ZipInfo(names[tensor.name], ZIP_EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, "".join(f"{label}\n" for label in tensor.labels))
    return buffer.getvalue()[offset:]


def _metadata(facts: ModelFacts, names: Mapping[str, str]) -> bytes:
    """Build the flatbuffer ``ModelMetadata``."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    inputs = _vector(builder, [_tensor(builder, t, names) for t in facts.inputs])
    outputs = _vector(builder, [_tensor(builder, t, names) for t in facts.outputs])
    graph = _table(builder, 10, {2: inputs, 3: outputs})
    texts = {
        0: facts.name,
        1: facts.description,
        2: facts.version,
        4: facts.author,
        5: facts.license,
        7: facts.min_parser_version,
    }
    offsets = {slot: builder.CreateString(text) for slot, text in texts.items() if text}
    offsets[3] = _vector(builder, [graph])
    builder.Finish(_table(builder, 8, offsets), IDENTIFIER)
    return bytes(builder.Output())


def _tensor(builder: Any, tensor: TensorFacts, names: Mapping[str, str]) -> int:
    """Build a ``TensorMetadata``: content, normalisation, range and label file."""
    offsets = {0: builder.CreateString(tensor.name), 3: _content(builder, tensor)}
    if tensor.description:
        offsets[1] = builder.CreateString(tensor.description)
    if tensor.mean:
        floats = {0: _floats(builder, tensor.mean), 1: _floats(builder, tensor.std)}
        unit = _union(builder, NORMALIZATION, _table(builder, 2, floats), 2)
        offsets[4] = _vector(builder, [unit])
    if tensor.minimum or tensor.maximum:
        bounds = {0: _floats(builder, tensor.maximum), 1: _floats(builder, tensor.minimum)}
        offsets[5] = _table(builder, 2, bounds)
    if tensor.labels:
        name = builder.CreateString(names[tensor.name])
        text = builder.CreateString("the class of each element along the last axis")
        builder.StartObject(5)
        builder.PrependUOffsetTRelativeSlot(0, name, 0)
        builder.PrependUOffsetTRelativeSlot(1, text, 0)
        builder.PrependInt8Slot(2, TENSOR_AXIS_LABELS, 0)
        offsets[6] = _vector(builder, [builder.EndObject()])
    return _table(builder, 7, offsets)


def _content(builder: Any, tensor: TensorFacts) -> int:
    """Build a ``Content``: an image, or a feature."""
    if not tensor.colour_space:
        return _union(builder, FEATURE, _table(builder, 0, {}), 3)
    builder.StartObject(2)
    builder.PrependUint32Slot(0, tensor.width, 0)
    builder.PrependUint32Slot(1, tensor.height, 0)
    size = builder.EndObject()
    builder.StartObject(2)
    builder.PrependInt8Slot(0, COLOUR_SPACES.index(tensor.colour_space), 0)
    builder.PrependUOffsetTRelativeSlot(1, size, 0)
    return _union(builder, IMAGE, builder.EndObject(), 3)


def _table(builder: Any, fields: int, offsets: Mapping[int, int]) -> int:
    builder.StartObject(fields)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return int(builder.EndObject())


def _union(builder: Any, kind: int, value: int, fields: int) -> int:
    """Build a table whose first two fields are a union's type and value."""
    builder.StartObject(fields)
    builder.PrependUint8Slot(0, kind, 0)
    builder.PrependUOffsetTRelativeSlot(1, value, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: Sequence[float]) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, np.float32)))
