"""State the operator versions that a file needs, where its writer stated lower ones.

ai-edge-quantizer leaves every version as the float file had it. Then an old runtime's guard does
not refuse kernels that it lacks, and it computes wrong results without an error.
"""

from __future__ import annotations

import struct

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.flatbuffer.walk import DamagedFile, FileBytes, Table
from edgekit.converters.operator_version import required_version
from edgekit.converters.runtime_version import CLAIM, minimum_runtime
from edgekit.errors import ModelError

# Fields of the tables Model and OperatorCode, by the schema.
CODES, METADATA = 1, 6
DEPRECATED, CUSTOM, BUILTIN = 0, 1, 3
ALIGNMENT = 16
VTABLE_BYTES, TABLE_BYTES = 12, 20


def stamp_versions(content: bytes) -> bytes:
    """Return the same file, each operator code at the highest version that a node of it needs.

    Only the operator codes are written anew, behind the rest, so that constants stay where they
    are aligned; what the file claims as its minimum runtime is set right in its place. The same
    bytes where nothing is stated too low. Raises :class:`ModelError` where the file is damaged.

    Source: "FlatBuffers Internals" of the FlatBuffers documentation, and the TensorFlow Lite
    schema, version 3.
    """
    needed = _needed(flatbuffer.parse(content, "the file to stamp"))
    try:
        return _stamped(content, needed) if needed else content
    except DamagedFile as error:
        hint = f"its tables overlap: {error}"
        raise ModelError("EK-MODEL-003", "the file cannot be stamped", hint) from error


def _stamped(content: bytes, needed: dict[tuple[str, int], int]) -> bytes:
    model = FileBytes(content).root()
    codes = model.tables(CODES)
    begin = -(-len(content) // ALIGNMENT) * ALIGNMENT
    stamped = bytearray(content.ljust(begin, b"\0"))
    place = model.place(CODES)
    if place is None:
        raise DamagedFile("nodes have operators, and there is no table of their codes")
    struct.pack_into("<I", stamped, place, begin - place)
    stamped += _codes(codes, needed)
    return _claimed(bytes(stamped))


def _needed(file: TFLiteFile) -> dict[tuple[str, int], int]:
    """Return the version needed, by operator and stated version, where it is higher."""
    needed: dict[tuple[str, int], int] = {}
    for graph in file.graphs:
        for node in graph.nodes:
            version = required_version(graph, node)
            key = (node.operator, node.version)
            if not node.custom and version > max(node.version, needed.get(key, 0)):
                needed[key] = version
    return needed


def _codes(codes: list[Table], needed: dict[tuple[str, int], int]) -> bytes:
    """Build the vector of operator codes; its offsets count from where each of them lies."""
    offsets, body = [], b""
    head = 4 + 4 * len(codes)
    for number, code in enumerate(codes):
        table = head + len(body) + VTABLE_BYTES
        offsets.append(table - (4 + 4 * number))
        body += _code(code, needed)
    return struct.pack(f"<I{len(offsets)}I", len(offsets), *offsets) + body


def _code(code: Table, needed: dict[tuple[str, int], int]) -> bytes:
    """Build one operator code: its vtable, itself, and the name of a custom one."""
    operator, stated, custom = flatbuffer.operator_code(code)
    version = needed.get((operator, stated), stated)
    name = code.text(CUSTOM).encode() if custom else b""
    vtable = struct.pack("<6H", VTABLE_BYTES, TABLE_BYTES, 16, 12 if name else 0, 4, 8)
    # The name lies behind the table: 8 bytes from the field that points at it.
    table = struct.pack(
        "<iiiIb3x",
        VTABLE_BYTES,
        version,
        code.scalar(BUILTIN, "<i"),
        8 if name else 0,
        code.scalar(DEPRECATED, "<b"),
    )
    text = struct.pack("<I", len(name)) + name + b"\0" if name else b""
    return vtable + table + text.ljust(-(-len(text) // 4) * 4, b"\0")


def _claimed(content: bytes) -> bytes:
    """Set the minimum runtime that a file claims to the computed one, if it claims any.

    Left as it is if the computed one does not fit into the same bytes.
    """
    file = flatbuffer.parse(content, "the stamped file")
    minimum = minimum_runtime(file).release.encode()
    rows = [row for row in FileBytes(content).root().tables(METADATA) if row.text(0) == CLAIM]
    at, size = file.span(rows[-1].scalar(1, "<I")) if rows else (0, 0)
    if not minimum or len(minimum) > size:
        return content
    return content[:at] + minimum.ljust(size, b"\0") + content[at + size :]
