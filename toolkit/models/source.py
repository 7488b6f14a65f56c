"""What a model file is, before anything loads it: its kind, its Keras generation, its dangers."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

from edgekit.errors import ModelError
from edgekit.store import is_lfs_pointer, sha256
from edgekit.types import Model

Generation = Literal["keras3", "keras2", "tensorflow"]


def identify(path: Path, trust: bool = False) -> Model:
    """The model at ``path``: a ``.keras``, an ``.h5``, or a SavedModel folder.

    Raises :class:`ModelError` where it is missing, damaged, of another kind, or holds a Lambda
    layer and is not trusted.
    """
    if not path.exists():
        hint = "a model is a .keras, .h5, SavedModel folder, module:function or file.py:function"
        raise ModelError("EK-MODEL-001", f"there is no model {path}", hint)
    if path.is_dir():
        return _saved_model(path)
    head = _head(path)
    if path.suffix == ".tflite" or head[4:8] == b"TFL3":
        raise _tflite_error(path, head)
    if zipfile.is_zipfile(path):
        kind: Literal["keras", "h5"] = "keras"
        generation, config = _read_keras(path)
    elif head[:8] == b"\x89HDF\r\n\x1a\n":
        kind = "h5"
        generation, config = _read_h5(path)
    else:
        hint = "it is truncated, damaged, or no Keras model at all: save it again"
        raise ModelError(
            "EK-MODEL-003", f"{path} cannot be read as {path.suffix or 'a model'}", hint
        )
    lambdas = _lambda_layers(config)
    if lambdas and not trust:
        hint = (
            "a Lambda layer runs code that the file carries: use --trust if you know who made it,"
            "\nor replace it by a layer class of your own"
        )
        names = ", ".join(repr(name) for name in lambdas)
        raise ModelError("EK-MODEL-005", f"{path} holds the Lambda layer {names}", hint)
    return Model(path, kind, generation, sha256(path))


def _head(path: Path) -> bytes:
    if path.stat().st_size == 0:
        raise ModelError("EK-MODEL-002", f"{path} is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise ModelError("EK-MODEL-002", f"{path} cannot be read: permission denied")
    if is_lfs_pointer(path):
        hint = "the content was never fetched: run `git lfs pull`"
        raise ModelError("EK-MODEL-002", f"{path} is a Git LFS pointer, not a model", hint)
    with path.open("rb") as file:
        return file.read(64)


def _saved_model(path: Path) -> Model:
    if not (path / "saved_model.pb").is_file():
        found = sorted(p.name for p in path.iterdir())[:5]
        hint = f"a SavedModel folder holds saved_model.pb; this one holds {found or 'nothing'}"
        raise ModelError("EK-MODEL-004", f"{path} is no SavedModel", hint)
    return Model(path, "saved_model", "tensorflow", sha256(path))


def _tflite_error(path: Path, head: bytes) -> ModelError:
    if head[4:8] != b"TFL3":
        hint = "it is truncated or damaged: a .tflite file has TFL3 at byte 4"
        return ModelError("EK-MODEL-003", f"{path} cannot be read as .tflite", hint)
    hint = "it is converted already: give the .keras, .h5 or SavedModel that it was made from"
    return ModelError("EK-MODEL-006", f"{path} is a TFLite file", hint)


def _read_keras(path: Path) -> tuple[Generation, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            if broken:
                raise zipfile.BadZipFile(f"{broken} is damaged")
            config = json.loads(archive.read("config.json"))
            version = str(json.loads(archive.read("metadata.json"))["keras_version"])
    # RuntimeError: a member is encrypted; TypeError: the metadata is no table.
    except (
        zipfile.BadZipFile, zlib.error, RuntimeError, KeyError, ValueError, TypeError, EOFError,
    ) as error:  # fmt: skip
        hint = f"it is truncated, damaged, or no Keras model: {error}"
        raise ModelError("EK-MODEL-003", f"{path} cannot be read as .keras", hint) from error
    return _generation(version), config


def _read_h5(path: Path) -> tuple[Generation, Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
            version = file.attrs.get("keras_version", "")
        parsed = json.loads(_text(config)) if config is not None else None
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        hint = f"it is truncated or damaged: {error}"
        raise ModelError("EK-MODEL-003", f"{path} cannot be read as .h5", hint) from error
    if config is None:
        hint = "save the whole model (model.save), not only its weights (model.save_weights)"
        raise ModelError("EK-MODEL-007", f"{path} holds no architecture, only weights", hint)
    return _generation(_text(version)), parsed


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _generation(version: str) -> Generation:
    return "keras3" if version.startswith("3") else "keras2"


def _lambda_layers(config: Any) -> list[str]:
    """Names of the Lambda layers anywhere in a model's configuration."""
    found: list[str] = []
    if isinstance(config, dict):
        inner = config.get("config")
        if config.get("class_name") in ("Lambda", "__lambda__") or "__lambda__" in config.values():
            name = inner.get("name") if isinstance(inner, dict) else None
            found.append(str(name or config.get("name") or "lambda"))
            return found
        for value in config.values():
            found += _lambda_layers(value)
    elif isinstance(config, list):
        for value in config:
            found += _lambda_layers(value)
    return found
