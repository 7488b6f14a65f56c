"""Write a ``.tflite`` file as C source: a constant array that the linker puts into flash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.micro.names import guard, identifier

# TFLM reads the flatbuffer in place, and takes constants for vectors of up to 16 bytes.
# Source: "Get started with microcontrollers" of the TensorFlow Lite documentation.
ALIGNMENT = 16
BYTES_PER_LINE = 16
HEX = tuple(f"0x{byte:02x}," for byte in range(256))

HEADER = """\
{about}
#ifndef {guard}
#define {guard}

// {size:,} bytes, aligned to {alignment}.
extern const unsigned char {array}[];
extern const unsigned int {array}_size;

#endif  // {guard}
"""

SOURCE = """\
{about}
#include "{header}"

alignas({alignment}) const unsigned char {array}[] = {{
{lines}
}};
const unsigned int {array}_size = {size};
"""


def write(model: Path, name: str, folder: Path) -> tuple[Path, Path]:
    """Write ``<name>_model.h`` and ``<name>_model.cpp`` into ``folder``: the same bytes every time.

    The array is called ``<name>_model``, with ``name`` made safe for C. Raises
    :class:`ModelError` if the file is not a TFLite file.
    """
    content = model.read_bytes()
    file = flatbuffer.parse(content, str(model))
    array = f"{identifier(name)}_model"
    header, source = folder / f"{array}.h", folder / f"{array}.cpp"
    facts = {
        "about": _about(name, file, content),
        "guard": guard(header.name),
        "array": array,
        "size": len(content),
        "alignment": ALIGNMENT,
        "header": header.name,
    }
    header.write_text(HEADER.format(**facts), encoding="utf-8")
    source.write_text(SOURCE.format(**facts, lines=_lines(content)), encoding="utf-8")
    return header, source


def _about(name: str, file: TFLiteFile, content: bytes) -> str:
    operators = "".join(f"\n//   {o.name} v{o.version}, {o.count}" for o in file.operators)
    digest = hashlib.sha256(content).hexdigest()
    return f"// {_comment(name)}\n// sha256 {digest}\n// operators:{_comment(operators)}"


def _comment(text: str) -> str:
    """Return text that cannot end a line comment, or continue it on the next line."""
    kept = "".join(c if c == "\n" or c.isprintable() else "?" for c in text)
    return kept.replace("\\", "/")


def _lines(content: bytes) -> str:
    starts = range(0, len(content), BYTES_PER_LINE)
    return "\n".join(
        "  " + "".join(HEX[byte] for byte in content[at : at + BYTES_PER_LINE]) for at in starts
    )
