"""Read model files: their configuration, their Keras version, and links to other files."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgekit.errors import ModelError
from edgekit.types import TensorSpec
from edgekit.unzip import DAMAGED

Generation = Literal["keras3", "keras2", "unknown"]
CONFIG = "model_config"
# Limits of unpacking: bytes of a configuration; bytes of a member, or times its compressed size.
CONFIGURATION = 64 << 20
ROOM, EXPANSION = 1 << 30, 1000
WEIGHTS_ONLY = (
    "give the architecture too: `edgekit convert model.json --weights FILE` (model.to_json()), or a"
    "\nfunction that builds the model and calls model.load_weights; or save both with model.save"
)


@dataclass(frozen=True)
class ModelContent:
    """A model's parsed configuration, the Keras that wrote it, and links that leave the file."""

    config: Any
    generation: Generation
    links: tuple[str, ...] = ()


def read(path: Path, kind: Literal["keras", "h5", "json"]) -> ModelContent:
    """Read a model file's configuration.

    Raises :class:`ModelError` where it is damaged, or holds weights alone.
    """
    return {"keras": _read_keras, "h5": _read_h5, "json": _read_json}[kind](path)


def inputs_of(config: Any) -> tuple[TensorSpec, ...]:
    """Return a model's inputs ``[batch, ...]`` where a configuration tells them all, else none."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else None
    inputs = [
        _input(layer.get("config"))
        for layer in (layers if isinstance(layers, list) else ())
        if isinstance(layer, dict) and layer.get("class_name") == "InputLayer"
    ]
    specs = tuple(spec for spec in inputs if spec is not None)
    if not specs or len(specs) < len(inputs):
        return ()
    names = [spec.name for spec in specs]
    return specs if len(specs) == 1 or names == _names(inner) else ()


def _input(of: Any) -> TensorSpec | None:
    """Return what an input layer's configuration says, where that is a shape."""
    of = of if isinstance(of, dict) else {}
    sizes = of.get("batch_shape") or of.get("batch_input_shape")
    if not isinstance(sizes, list) or len(sizes) < 2:
        return None
    if not all(one is None or (type(one) is int and one > 0) for one in sizes):
        return None
    name, dtype = of.get("name"), of.get("dtype")
    return TensorSpec(
        name if isinstance(name, str) else "input",
        tuple(sizes),
        dtype if isinstance(dtype, str) else "float32",
    )


def _names(inner: Any) -> list[str]:
    """Return the names of several inputs in their order, where each is that of its layer."""
    told = inner.get("input_layers")
    if isinstance(told, dict):
        told = [place if place[:1] == [name] else None for name, place in told.items()]
    places = told if isinstance(told, list) else []
    return [place[0] if isinstance(place, list) and place else "" for place in places]


def links(path: Path) -> tuple[str, ...]:
    """Find what an HDF5 file reads from other files: external links and externally stored
    arrays.

    Raises :class:`ModelError` where it is damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return tuple(_links(file))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        hint = f"it is truncated or damaged: {error}"
        raise ModelError("EK-MODEL-003", f"{path} cannot be read as .h5", hint) from error


@contextlib.contextmanager
def with_config(path: Path, kind: Literal["keras", "h5"], config: Any) -> Iterator[Path]:
    """Yield a copy of a model file with another configuration, for as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"model.{kind}"
        if kind == "keras":
            _rewrite_keras(path, copy, config)
        else:
            _rewrite_h5(path, copy, config)
        yield copy


def _read_keras(path: Path) -> ModelContent:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive)
            broken = archive.testzip()
            if broken:
                raise zipfile.BadZipFile(f"{broken} is damaged")
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json"))
            if not isinstance(metadata, dict):
                raise TypeError("metadata.json is not a table")
            links: list[str] = []
            for name in archive.namelist():
                if name.endswith(".h5"):
                    links += _links_inside(archive, name)
    except (KeyError, TypeError, *DAMAGED) as error:
        hint = f"it is truncated, damaged, or not a Keras model: {error}"
        raise ModelError("EK-MODEL-003", f"{path} cannot be read as .keras", hint) from error
    return ModelContent(config, _generation(metadata.get("keras_version", "")), tuple(links))


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Refuse a small file that would fill memory or disk."""
    for item in archive.infolist():
        expanded = max(ROOM, EXPANSION * item.compress_size)
        if item.file_size > (CONFIGURATION if item.filename.endswith(".json") else expanded):
            sizes = f"{item.file_size:,} bytes from {item.compress_size:,}"
            raise zipfile.BadZipFile(f"{item.filename} would unpack to {sizes}")


def _links_inside(archive: zipfile.ZipFile, name: str) -> list[str]:
    import h5py

    with archive.open(name) as member, h5py.File(member, "r") as file:
        return list(_links(file))


def _read_h5(path: Path) -> ModelContent:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get(CONFIG)
            version = file.attrs.get("keras_version", "")
            if not version and _is_inside(file, "model_weights"):
                version = file["model_weights"].attrs.get("keras_version", "")
            links = tuple(_links(file))
        parsed = json.loads(_text(config)) if config is not None else None
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        hint = f"it is truncated or damaged: {error}"
        raise ModelError("EK-MODEL-003", f"{path} cannot be read as .h5", hint) from error
    if config is None:
        message = f"{path} holds no architecture, only weights"
        raise ModelError("EK-MODEL-007", message, WEIGHTS_ONLY)
    return ModelContent(parsed, _generation(_text(version)), links)


def _read_json(path: Path) -> ModelContent:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(config, str):
            # model.to_json() written with json.dump: a text inside a text.
            config = json.loads(config)
    except (ValueError, RecursionError) as error:
        hint = f"it is truncated, damaged, or not JSON: {error}"
        raise ModelError("EK-MODEL-003", f"{path} cannot be read as .json", hint) from error
    if not isinstance(config, dict) or not {"class_name", "config"} <= config.keys():
        hint = "an architecture is what model.to_json() returns: it has a class_name and a config"
        raise ModelError("EK-MODEL-003", f"{path} is not a Keras architecture", hint)
    return ModelContent(config, _generation(config.get("keras_version", "")))


def _links(file: Any) -> Iterator[str]:
    """Yield the links that leave a file. None is followed, and every object is visited once."""
    import h5py

    waiting, seen = [file], {file.id}
    while waiting:
        group = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield f"{name} in {link.filename}"
            if not isinstance(link, h5py.HardLink):
                continue
            item = group[name]
            if item.id in seen:
                continue
            seen.add(item.id)
            if isinstance(item, h5py.Dataset):
                sources = [row[0] for row in item.external or ()]
                if item.is_virtual:
                    sources += [row.file_name for row in item.virtual_sources()]
                yield from (f"{name} in {source}" for source in sources if source != ".")
            elif isinstance(item, h5py.Group):
                waiting.append(item)


def _is_inside(file: Any, name: str) -> bool:
    """Tell whether an object is in the file itself, not behind a link."""
    import h5py

    return name in file.keys() and isinstance(file.get(name, getlink=True), h5py.HardLink)  # noqa: SIM118


def _rewrite_keras(path: Path, copy: Path, config: Any) -> None:
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for item in source.infolist():
            if item.filename == "config.json":
                target.writestr(item, json.dumps(config))
                continue
            with source.open(item) as read, target.open(item, "w") as write:
                while chunk := read.read(1 << 20):
                    write.write(chunk)


def _rewrite_h5(path: Path, copy: Path, config: Any) -> None:
    import h5py

    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs[CONFIG] = json.dumps(config)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _generation(version: Any) -> Generation:
    text = str(version)
    if text[:1] in ("1", "2"):
        return "keras2"
    return "keras3" if text[:1].isdigit() else "unknown"


def is_legacy_weights(path: Path) -> bool:
    """Tell whether a weights file lists layers by name, as before ``.weights.h5``."""
    import h5py

    with h5py.File(path, "r") as file:
        return "layer_names" in file.attrs or "model_weights" in file
