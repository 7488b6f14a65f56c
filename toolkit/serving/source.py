"""What is served: a bundle, a ``.tflite`` or a SavedModel, read into a request to a runner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import nearby
from edgekit.errors import ServeError
from edgekit.targets.bundles import OpenedBundle, open_bundle
from edgekit.targets.bundles.contents import MANIFEST
from edgekit.targets.bundles.monitoring import FILE as STATISTICS
from edgekit.targets.bundles.monitoring import read_statistics
from edgekit.targets.bundles.tf_serving import LABEL, served_name, version_number
from edgekit.targets.runners import RUNNER_FILES
from edgekit.types import Preprocess, Request, RunnerModel

TFLITE, TENSORFLOW = "litert", "tensorflow"
SAVED_MODEL = "saved_model.pb"
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Source:
    """Where a version lies, and what it is called: its ``arm``, a label of addresses as well.

    Without ``name`` and ``number`` they are those of the bundle, else of the file and 1. The
    ``signature`` is that of a ``.tflite`` that has several.
    """

    path: Path
    arm: str = LABEL
    name: str = ""
    number: int | None = None
    signature: str | None = None


@dataclass(frozen=True)
class Golden:
    """Raw items of a bundle, and the outputs that they must give within a tolerance each."""

    inputs: Arrays
    outputs: Arrays
    tolerances: Mapping[str, float]

    @property
    def items(self) -> int:
        """How many there are."""
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True)
class Servable:
    """A version that a runner can answer with: the request that opens it, and what is known of it.

    ``version`` is what its maker calls it, ``digest`` that of the model's file; ``classes`` are
    named in the order of ``scores``, the output that tells them, and ``monitoring`` are the golden
    statistics. Without a bundle there is no ``golden``, and no ``preprocess``.
    """

    name: str
    number: int
    version: str
    request: Request
    digest: str
    preprocess: Preprocess = field(default_factory=Preprocess)
    golden: Golden | None = None
    classes: tuple[str, ...] = ()
    scores: str = ""
    monitoring: Mapping[str, Any] | None = None

    @property
    def identity(self) -> str:
        """What tells it from every other version, in request ids and in kept feedback."""
        return f"{self.digest[:16]}-{self.number}"


def read_source(source: Source, folder: Path) -> Servable:
    """Read what is to be served; a bundle is unpacked into ``folder``.

    Raises :class:`BundleError` for a bundle that is damaged, and :class:`ServeError` for what
    cannot be served.
    """
    path = source.path
    if not path.exists():
        message = f"there is no bundle, model or version {path}"
        raise ServeError("EK-SERVE-003", message, nearby.hint(path))
    if path.is_dir() and (path / SAVED_MODEL).is_file():
        servable = _of_file(path, TENSORFLOW, _digest(path / SAVED_MODEL))
    elif path.suffix == ".tflite":
        servable = _of_file(path, TFLITE, _digest(path))
    elif path.is_dir() or path.suffix in (".gz", ".tgz", ".zip", ".tar"):
        servable = _of_bundle(path, open_bundle(path, folder))
    else:
        hint = (
            "a bundle (folder or .tar.gz), a .tflite, a SavedModel folder, a .keras, or a version"
            " of the registry, such as digits@champion"
        )
        raise ServeError("EK-SERVE-003", f"{path} is nothing that can be served", hint)
    name = served_name(source.name) if source.name else servable.name
    if source.signature is not None:
        servable = replace(servable, request=replace(servable.request, signature=source.signature))
    return replace(servable, name=name, number=source.number or servable.number)


def _of_file(path: Path, runtime: str, digest: str) -> Servable:
    request = Request("answer", (RunnerModel("model", path),), runtime=runtime)
    name = path.stem if path.stem not in ("model", "saved_model") else path.resolve().parent.name
    return Servable(served_name(name), 1, digest[:8], request, digest)


def _of_bundle(path: Path, bundle: OpenedBundle) -> Servable:
    manifest, asked = bundle.manifest, bundle.request
    if asked.states or asked.streams:
        message = f"{path} keeps a state, which requests of several clients would share"
        raise ServeError("EK-SERVE-004", message, "its own app runs it: see the bundle's README")
    runtimes = [name for name in bundle.runtimes if name in RUNNER_FILES]
    if not runtimes:
        message = f"{path} is for {manifest['target']}, whose runtime no runner here is for"
        named = ", ".join(str(one["name"]) for one in manifest["runtimes"])
        hint = f"it names {named}; serve a bundle for linux-x86_64, or the model.tflite it holds"
        raise ServeError("EK-SERVE-003", message, hint)
    answers = manifest["golden"].get("answers") or {}
    request = Request(
        "answer",
        asked.models,
        inputs=asked.inputs,
        preprocess=asked.preprocess,
        signature=asked.signature,
        runtime=runtimes[0],
    )
    return Servable(
        served_name(str(manifest["name"])),
        version_number(str(manifest["version"])),
        str(manifest["version"]),
        request,
        _digest(asked.models[0].path),
        asked.preprocess,
        _golden(path, asked),
        tuple(map(str, manifest.get("labels", []))),
        str(answers.get("output", "")),
        _statistics(bundle),
    )


def _statistics(bundle: OpenedBundle) -> Mapping[str, Any] | None:
    path = bundle.folder / STATISTICS
    try:
        return read_statistics(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError):
        # An older edgekit's, or damaged: whoever asks for records is told.
        return None


def _golden(path: Path, asked: Request) -> Golden:
    expected = asked.golden or {}
    try:
        inputs = {n: np.load(p, allow_pickle=False) for n, p in asked.inputs.items()}
        outputs = {n: np.load(one.path, allow_pickle=False) for n, one in expected.items()}
    except (OSError, ValueError) as error:
        message = f"{path}: the golden items in its {MANIFEST} cannot be read"
        raise ServeError("EK-SERVE-005", message, str(error)[:300]) from error
    return Golden(inputs, outputs, {name: one.tolerance for name, one in expected.items()})


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ServeError("EK-SERVE-003", f"{path} cannot be read", str(error)) from error
