"""Whether the model of a bundle is the one that its manifest describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import Tensor, TFLiteFile
from edgekit.converters.precisions import PRECISIONS, precision_in
from edgekit.errors import BundleError, EdgekitError

OTHER = "EK-BUNDLE-010"


def check_model(path: Path, manifest: Mapping[str, Any], model: Path) -> None:
    """Raise :class:`BundleError` where a model's ends or precision are not the manifest's.

    What cannot be read at all is left to the self-test, which says how it dies.
    """
    try:
        file = flatbuffer.read(model)
    except EdgekitError:
        return
    told = manifest["model"]
    wrong = list(_ends(file, told))
    claimed = told.get("precision")
    if claimed in PRECISIONS and (problem := PRECISIONS[claimed].problem(file)):
        found = precision_in(file)
        if found != claimed:
            wrong.append(f"the manifest says {claimed}, the file is {found}: {problem}")
    if wrong:
        message = f"{path}: the model is not the one that the manifest describes"
        raise BundleError(OTHER, message, "\n".join(wrong))


def _ends(file: TFLiteFile, told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between a file's inputs and outputs and those that were told."""
    states = told.get("states", {})
    fed = {name: str(one["output"]) for name, one in states.items()}
    key = told.get("signature")
    for which, tensors, more in (
        ("inputs", file.inputs_of(key) or _named(file.inputs), set(fed)),
        ("outputs", file.outputs_of(key) or _named(file.outputs), set(fed.values())),
    ):
        specs = told.get(which)
        if not isinstance(specs, Mapping):
            continue
        if set(tensors) != {*specs, *more}:
            wanted, held = (
                ", ".join(sorted(map(repr, names))) for names in ({*specs, *more}, tensors)
            )
            yield f"the manifest has the {which} {wanted}, the file {held}"
            continue
        for name, spec in specs.items():
            if reason := _size(tensors[name], spec):
                yield f"{which[:-1]} {name!r}: {reason}"


def _named(tensors: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
    """Return the ends of a file without signatures, called as their tensors are."""
    return {tensor.name: tensor for tensor in tensors}


def _size(tensor: Tensor, spec: Mapping[str, Any]) -> str:
    """Say how an item of a tensor differs in size from what was told; empty where it does not."""
    shape, told = tensor.signature_shape or tensor.shape, spec.get("shape", ())
    fixed = all(size > 0 for size in (*shape, *(size or 0 for size in told)))
    # A batch of several, and free sizes, are items of which the file does not tell the size.
    if not fixed or (shape[:1] and shape[0] != 1) or not told:
        return ""
    if int(np.prod(shape)) == int(np.prod(told)):
        return ""
    return f"the manifest has {list(told)}, the file {list(shape)}"
