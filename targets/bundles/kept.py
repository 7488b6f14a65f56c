"""The contents of a bundle as a run keeps them: bundles are made of them later, without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from edgekit import npy
from edgekit.errors import NoBundleError
from edgekit.store import place, write_text
from edgekit.targets.bundles.contents import Answers, Contents, Family, Golden
from edgekit.types import (
    BoxesSpec,
    CarriedState,
    Json,
    Measurement,
    Preprocess,
    RuntimeNeed,
    TensorSpec,
)

FILE = "contents.json"
# The SavedModel that the candidate was made of, as a folder.
SAVED_MODEL = "saved_model"
# What is kept of the contents, and as what; the project gives the rest anew each time.
KEPT: Mapping[str, TypeAdapter[Any]] = {
    "name": TypeAdapter(str),
    "version": TypeAdapter(str),
    "precision": TypeAdapter(str),
    "inputs": TypeAdapter(tuple[TensorSpec, ...]),
    "outputs": TypeAdapter(tuple[TensorSpec, ...]),
    "preprocess": TypeAdapter(Preprocess),
    "labels": TypeAdapter(tuple[str, ...]),
    "tools": TypeAdapter(dict[str, str]),
    "signature": TypeAdapter(str | None),
    "states": TypeAdapter(tuple[CarriedState, ...]),
    "boxes": TypeAdapter(BoxesSpec | None),
    "minimum_runtime": TypeAdapter(RuntimeNeed | None),
    "arena": TypeAdapter(Measurement | None),
    "monitoring": TypeAdapter(dict[str, Any] | None),
}
# What runs of earlier versions did not keep.
LATER = ("monitoring",)
Arrays = Mapping[str, npt.NDArray[Any]]


def keep(contents: Contents, folder: Path) -> None:
    """Write the contents that a bundle of any target and kind can be made of, without the model."""
    folder.mkdir(parents=True, exist_ok=True)
    golden = contents.golden
    facts: dict[str, Json] = {
        name: kind.dump_python(getattr(contents, name), mode="json") for name, kind in KEPT.items()
    }
    facts["golden"] = {
        "inputs": _written(golden.inputs, folder, "input"),
        "outputs": _written(golden.outputs, folder, "output"),
        "tolerance": dict(golden.tolerance),
        "answers": TypeAdapter(Answers | None).dump_python(golden.answers, mode="json"),
        "streams": list(golden.streams),
        "version": golden.version,
        "random": golden.random,
        "families": [
            {
                "runtime": family.runtime,
                "version": family.version,
                "outputs": _written(family.outputs, folder, family.runtime),
                "differences": dict(family.differences),
            }
            for family in golden.families
        ],
    }
    if contents.saved_model is not None:
        for path in sorted(contents.saved_model.rglob("*")):
            if path.is_file():
                place(path, folder / SAVED_MODEL / path.relative_to(contents.saved_model))
    write_text(folder / FILE, json.dumps(facts, indent=1))


def read_kept(folder: Path, model: Path) -> Contents:
    """Return the contents that a run kept, around its model.

    Raises :class:`NoBundleError` where there are none, or they are damaged.
    """
    try:
        facts = json.loads((folder / FILE).read_text())
        kept = {
            name: kind.validate_python(facts.get(name) if name in LATER else facts[name])
            for name, kind in KEPT.items()
        }
        golden = facts["golden"]
        pairs = Golden(
            _read(golden["inputs"], folder),
            _read(golden["outputs"], folder),
            golden["tolerance"],
            TypeAdapter(Answers | None).validate_python(golden["answers"]),
            tuple(golden["streams"]),
            golden["version"],
            tuple(_family(one, folder) for one in golden["families"]),
            golden["random"],
        )
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        message = f"{folder} does not hold what a bundle is made of"
        hint = f"run `edgekit convert` again: {str(error).splitlines()[0][:300]}"
        raise NoBundleError("EK-BUNDLE-040", message, hint) from error
    saved = folder / SAVED_MODEL
    return Contents(
        **kept,
        model=model,
        golden=pairs,
        measurements={},
        saved_model=saved if saved.is_dir() else None,
    )


def _written(arrays: Arrays, folder: Path, stem: str) -> dict[str, str]:
    files = {}
    for k, (name, array) in enumerate(arrays.items()):
        files[name] = f"{stem}-{k}.npy"
        np.save(folder / files[name], np.ascontiguousarray(array))
    return files


def _read(files: Mapping[str, str], folder: Path) -> dict[str, npt.NDArray[Any]]:
    return {name: np.array(npy.opened(folder / Path(file).name)) for name, file in files.items()}


def _family(facts: Mapping[str, Any], folder: Path) -> Family:
    named = {field.name: facts[field.name] for field in fields(Family)}
    return Family(**{**named, "outputs": _read(facts["outputs"], folder)})
