"""Read a ``.tflite`` file that the user names, or explain why it cannot be read."""

from __future__ import annotations

from pathlib import Path

from edgekit import nearby
from edgekit.errors import ModelError
from edgekit.models.source import FROM_C, is_c_source, not_tflite_error, read_head

CONVERT = "convert it first: edgekit convert {path} --precision float32"


def read_content(path: Path) -> bytes:
    """Read the bytes of a ``.tflite`` file.

    Raises :class:`ModelError` if it is missing, empty, a folder, a Git LFS pointer, unreadable,
    or a model of another kind, which the error names.
    """
    if not path.exists():
        hint = nearby.hint(path, "name a .tflite file")
        raise ModelError("EK-MODEL-001", f"there is no file {path}", hint)
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            raise _other(path, "a SavedModel folder")
        raise ModelError("EK-MODEL-025", f"{path} is a folder", "name a .tflite file in it")
    begin = read_head(path)
    if begin[4:8] != b"TFL3":
        if path.name == "saved_model.pb":
            raise _other(path.parent, "a SavedModel folder")
        if is_c_source(path):
            message = f"{path} is C source, an array of bytes, not a .tflite file"
            raise ModelError("EK-MODEL-025", message, FROM_C)
        raise not_tflite_error(path, begin)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError("EK-MODEL-002", f"{path} cannot be read: {error.strerror}") from error


def _other(path: Path, kind: str) -> ModelError:
    message = f"{path} is {kind}, not a .tflite file"
    return ModelError("EK-MODEL-025", message, CONVERT.format(path=path))
