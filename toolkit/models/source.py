"""Identify a model file before anything loads it: its kind, its Keras generation, its safety."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

from edgekit import nearby
from edgekit.errors import ModelError, ProjectError
from edgekit.models import files, signature_file, subprocess_reader
from edgekit.models.safety import findings, refuse
from edgekit.store import digest_of, is_lfs_pointer, sha256
from edgekit.types import Model
from edgekit.usercode import fingerprint_file

Kind = Literal["keras", "h5", "json"]
HDF5 = b"\x89HDF\r\n\x1a\n"
# Protocol 2 and later begin with this byte and their number.
PICKLES = tuple(bytes([0x80, number]) for number in range(2, 6))

# Marks of a model as C source, as xxd and edgekit write it, in the first bytes of the file.
C_SOURCE = re.compile(rb"\bunsigned\s+char\b|\buint8_t\b|\balignas\b|#include")
C_SOURCE_HEAD = 4096
FROM_C = (
    "give the .tflite file that it was made from; of an array alone, this writes it:\n"
    'python -c "import re,sys; sys.stdout.buffer.write(bytes(int(x,16) for x in'
    " re.findall(r'\\b0x[0-9a-fA-F]{1,2}\\b', sys.stdin.read())))\" < model.cc > model.tflite"
)


def identify(
    path: Path,
    trust: bool = False,
    *,
    custom_objects: Path | None = None,
    root: Path | None = None,
    weights: Path | None = None,
    signature: str | None = None,
) -> Model:
    """Identify the model at ``path``: ``.keras``, ``.h5``, architecture JSON, SavedModel or
    ``.tflite``.

    ``weights`` belong to a JSON, ``signature`` to a SavedModel. Raises :class:`ModelError` where
    the model is missing, damaged, of another kind, or holds what an untrusted file may not.
    """
    if not path.exists():
        hint = (
            "a model is a .keras, .h5, SavedModel folder, architecture .json, float .tflite,"
            " module:function or file.py:function"
        )
        raise ModelError("EK-MODEL-001", f"there is no model {path}", nearby.hint(path, hint))
    has_own = custom_objects is not None
    model = _saved_model(path, signature) if path.is_dir() else _file(path, trust, has_own)
    if model.kind == "json":
        model = with_weights(model, weights or find_weights(path))
    elif weights is not None:
        hint = "a .keras, .h5 or SavedModel holds its own; in a function use model.load_weights"
        raise ModelError("EK-MODEL-016", f"weights are for an architecture JSON, not {path}", hint)
    if signature is not None and model.kind not in ("saved_model", "tflite"):
        hint = "a signature is one of a SavedModel folder or a .tflite file; leave it out"
        raise ModelError("EK-MODEL-011", f"{path} has no signatures", hint)
    return with_custom_objects(replace(model, signature=signature), custom_objects, root)


def with_custom_objects(model: Model, module: Path | None, root: Path | None) -> Model:
    """Add the user's module of layers to a model, if any, and the digests of its code."""
    if module is None:
        return model
    if not module.is_file():
        message = f"custom_objects: there is no file {module}"
        hint = nearby.hint(module, "name the Python file of your layers")
        raise ProjectError("EK-PROJECT-005", message, hint)
    root = root or module.resolve().parent
    code = fingerprint_file(module.resolve(), root)
    return replace(model, custom_objects=module.resolve(), root=root, code=code)


def with_weights(model: Model, weights: Path | None) -> Model:
    """Add weights to an architecture; the digest is of both."""
    if weights is None:
        name = model.path.with_suffix(".weights.h5").name
        hint = f"name them with --weights FILE ([model] weights), or put them beside it as {name}"
        raise ModelError("EK-MODEL-016", f"{model.path} is an architecture without weights", hint)
    if not weights.is_file():
        raise ModelError(
            "EK-MODEL-016", f"there is no weights file {weights}", nearby.hint(weights)
        )
    if read_head(weights)[:8] != HDF5:
        hint = "it is truncated, damaged, or not an HDF5 file: save it with model.save_weights"
        raise ModelError("EK-MODEL-016", f"{weights} cannot be read as weights", hint)
    linked = subprocess_reader.links(weights)
    if linked:
        raise _linked(weights, linked)
    digest = digest_of([model.digest, sha256(weights)])
    return replace(model, weights=weights, digest=digest)


def find_weights(path: Path) -> Path | None:
    """Find the weights beside an architecture: ``model.weights.h5``, or ``model.h5``."""
    places = [path.with_suffix(suffix) for suffix in (".weights.h5", ".h5")]
    return next((place for place in places if place.is_file()), None)


def _file(path: Path, trust: bool, has_custom_objects: bool) -> Model:
    kind = _kind(path)
    if kind == "tflite":
        return Model(path, kind, "tflite", sha256(path))
    content = subprocess_reader.read(path, kind)
    if not trust:
        references = findings(content.config)
        refuse(path, references, None if has_custom_objects else ())
        if content.links:
            raise _linked(path, content.links)
    inputs = files.inputs_of(content.config)
    return Model(path, kind, content.generation, sha256(path), inputs=inputs)


def _kind(path: Path) -> Kind | Literal["tflite"]:
    begin = read_head(path)
    if begin[4:8] == b"TFL3":
        return "tflite"
    if is_c_source(path):
        raise ModelError("EK-MODEL-025", f"{path} is C source, an array of bytes", FROM_C)
    if path.suffix == ".tflite":
        raise not_tflite_error(path, begin)
    if zipfile.is_zipfile(path):
        return "keras"
    if begin[:8] == HDF5:
        return "h5"
    if path.suffix == ".json" or begin.lstrip()[:1] == b"{":
        return "json"
    if begin[:2] in PICKLES:
        hint = "unpickling runs code: save the model with model.save('model.keras')"
        raise ModelError("EK-MODEL-005", f"{path} is a pickle, which edgekit never opens", hint)
    if path.name == "saved_model.pb":
        hint = f"give the folder it lies in: {path.parent}"
        raise ModelError("EK-MODEL-004", f"{path} is one file of a SavedModel", hint)
    hint = "it is truncated, damaged, or not a Keras model: save it again"
    raise ModelError("EK-MODEL-003", f"{path} cannot be read as {path.suffix or 'a model'}", hint)


def is_c_source(path: Path) -> bool:
    """Tell whether a file is a model as C source, behind any comment at its start."""
    with path.open("rb") as file:
        begin = file.read(C_SOURCE_HEAD)
    is_text = b"\0" not in begin and begin.lstrip()[:1] != b"{"
    return is_text and C_SOURCE.search(begin) is not None


def not_tflite_error(path: Path, begin: bytes) -> ModelError:
    """Build the error for a file that is not the ``.tflite`` it is taken for, and say what it
    is.
    """
    kinds: dict[str, str] = {}
    if begin[:8] == HDF5:
        kinds = {"what": "an HDF5 file, as Keras writes .h5", "suffix": ".h5"}
    elif zipfile.is_zipfile(path):
        kinds = {"what": "a zip archive, as .keras files are", "suffix": ".keras"}
    if not kinds:
        hint = "it is truncated, damaged, or not a model: a .tflite file has TFL3 at byte 4"
        return ModelError("EK-MODEL-003", f"{path} cannot be read as .tflite", hint)
    message = f"{path} is {kinds['what']}, not a .tflite file"
    renamed = path.with_suffix(kinds["suffix"]) if path.suffix == ".tflite" else path
    convert = f"edgekit convert {renamed} --precision float32"
    if renamed == path:
        return ModelError("EK-MODEL-025", message, f"convert it first: {convert}")
    return ModelError("EK-MODEL-025", message, f"rename it to {renamed.name}, then: {convert}")


def read_head(path: Path) -> bytes:
    """Read the first bytes of a model file. Raises :class:`ModelError` if none can be read."""
    if path.stat().st_size == 0:
        raise ModelError("EK-MODEL-002", f"{path} is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise ModelError("EK-MODEL-002", f"{path} cannot be read: permission denied")
    if is_lfs_pointer(path):
        hint = "the content was never fetched: run `git lfs pull`"
        raise ModelError("EK-MODEL-002", f"{path} is a Git LFS pointer, not a model", hint)
    with path.open("rb") as file:
        return file.read(64)


def _saved_model(path: Path, name: str | None) -> Model:
    if not (path / "saved_model.pb").is_file():
        members = sorted(p.name for p in path.iterdir())[:5]
        hint = f"a SavedModel folder holds saved_model.pb; this one holds {members or 'nothing'}"
        raise ModelError("EK-MODEL-004", f"{path} is not a SavedModel", hint)
    inputs = signature_file.inputs_of(path, name)
    return Model(path, "saved_model", "tensorflow", sha256(path), inputs=inputs)


def _linked(path: Path, links: tuple[str, ...]) -> ModelError:
    hint = "a model's file must hold all it needs: save the whole model again"
    return ModelError("EK-MODEL-014", f"{path} reads other files: {', '.join(links)}", hint)
