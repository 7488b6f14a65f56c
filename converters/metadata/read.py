"""Read the metadata of a ``.tflite`` file from its bytes."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer.walk import DamagedFile, FileBytes, Table
from edgekit.converters.metadata.facts import (
    COLOUR_SPACES,
    ENTRY,
    IDENTIFIER,
    IMAGE,
    NORMALIZATION,
    TENSOR_AXIS_LABELS,
    ModelFacts,
    TensorFacts,
)
from edgekit.errors import ModelError
from edgekit.unzip import DAMAGED

# Far above a label file; what claims to be larger is not unpacked.
MOST_BYTES = 16 << 20


def read_metadata(model: bytes | Path) -> ModelFacts:
    """Read a file's metadata, its label files too.

    Raises :class:`ModelError` where the file has none, is damaged, or names a file that it does not
    hold.
    """
    content = model if isinstance(model, bytes) else model.read_bytes()
    name = "the model" if isinstance(model, bytes) else str(model)
    entry = flatbuffer.parse(content, name).metadata.get(ENTRY)
    if entry is None:
        raise ModelError("EK-MODEL-031", f"{name} has no TFLite metadata")
    try:
        if entry[4:8] != IDENTIFIER:
            raise DamagedFile(f"its identifier is {entry[4:8]!r}, not {IDENTIFIER!r}")
        return _model(FileBytes(entry).root(), content)
    except (DamagedFile, struct.error, LookupError, ValueError, OverflowError) as error:
        hint = f"it is damaged: {error}"
        raise ModelError("EK-MODEL-031", f"{name}: its metadata cannot be read", hint) from error


def _model(table: Table, content: bytes) -> ModelFacts:
    graphs = table.tables(3)
    if len(graphs) != 1:
        raise DamagedFile(f"it describes {len(graphs)} graphs, not one")
    return ModelFacts(
        name=table.text(0),
        description=table.text(1),
        version=table.text(2),
        author=table.text(4),
        license=table.text(5),
        inputs=tuple(_tensor(one, content) for one in graphs[0].tables(2)),
        outputs=tuple(_tensor(one, content) for one in graphs[0].tables(3)),
        min_parser_version=table.text(7),
    )


def _tensor(table: Table, content: bytes) -> TensorFacts:
    units = table.tables(4)
    scaling = next((u.table(1) for u in units if u.scalar(0, "<B") == NORMALIZATION), None)
    bounds, described = table.table(5), table.table(3)
    image = None
    if described is not None and described.scalar(0, "<B") == IMAGE:
        image = described.table(1)
    size = image.table(1) if image else None
    return TensorFacts(
        name=table.text(0),
        description=table.text(1),
        mean=_floats(scaling, 0),
        std=_floats(scaling, 1),
        minimum=_floats(bounds, 1),
        maximum=_floats(bounds, 0),
        colour_space=COLOUR_SPACES[image.scalar(0, "<b")] if image else "",
        width=size.scalar(0, "<I") if size else 0,
        height=size.scalar(1, "<I") if size else 0,
        labels=_labels(table, content),
    )


def _floats(table: Table | None, field: int) -> tuple[float, ...]:
    return tuple(float(one) for one in table.array(field, "<f4")) if table else ()


def _labels(table: Table, content: bytes) -> tuple[str, ...]:
    files = [f for f in table.tables(6) if f.scalar(2, "<b") == TENSOR_AXIS_LABELS]
    if not files:
        return ()
    name = files[0].text(0)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            large = archive.getinfo(name).file_size > MOST_BYTES
            labels = b"" if large else archive.read(name)
    except (KeyError, *DAMAGED) as error:
        raise DamagedFile(f"it names {name!r}, which the file does not hold") from error
    if large:
        raise DamagedFile(f"{name} claims to be larger than any label file")
    return tuple(labels.decode().splitlines())
