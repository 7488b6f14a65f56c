"""A ``.tflite`` file as a user names it: read whole, or refused in words."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from edgekit.errors import ModelError
from edgekit.models.source import HDF5, head

# What xxd, and edgekit, write of a model for a microcontroller.
C_ARRAY = re.compile(rb"#include|\bunsigned\s+char\b|\buint8_t\b|\balignas\b")
CONVERT = "convert it first: edgekit convert {path} --precision float32"


def content(path: Path) -> bytes:
    """The bytes of a ``.tflite`` file.

    Raises :class:`ModelError` where there is none, where it is empty, a folder, a Git LFS pointer
    or cannot be read, and where it is a model of another kind, which it names.
    """
    if not path.exists():
        raise ModelError("EK-MODEL-001", f"there is no file {path}", "name a .tflite file")
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            raise _other(path, "a SavedModel folder")
        raise ModelError("EK-MODEL-025", f"{path} is a folder", "name a .tflite file in it")
    begin = head(path)
    if begin[4:8] != b"TFL3":
        if begin[:8] == HDF5:
            raise _other(path, "an HDF5 file, as Keras writes .h5")
        if zipfile.is_zipfile(path):
            raise _other(path, "a zip archive, as .keras files are")
        if path.name == "saved_model.pb":
            raise _other(path.parent, "a SavedModel folder")
        array = C_ARRAY.search(begin) if b"\0" not in begin else None
        if array is not None:
            raise ModelError(
                "EK-MODEL-025", f"{path} is C source, an array of bytes, not a .tflite file",
                "give the .tflite file that it was made from; of an array alone, its bytes written"
                " to a file are that",
            )  # fmt: skip
        hint = "it is truncated, damaged, or no model: a .tflite file has TFL3 at byte 4"
        raise ModelError("EK-MODEL-003", f"{path} cannot be read as .tflite", hint)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError("EK-MODEL-002", f"{path} cannot be read: {error.strerror}") from error


def _other(path: Path, what: str) -> ModelError:
    message = f"{path} is {what}, not a .tflite file"
    return ModelError("EK-MODEL-025", message, CONVERT.format(path=path))
