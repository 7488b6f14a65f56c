"""Packing: a deterministic ``.tar.gz`` with a manifest that names every file's digest."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from edgekit.errors import NoBundleError
from edgekit.plugins import Table
from edgekit.store import write_bytes
from edgekit.targets.catalog import Target
from edgekit.types import BoxesSpec, Bundle, CarriedState, Json, Preprocess, TensorSpec

MANIFEST = "manifest.json"
# The model as an NPU takes it, beside the file that was evaluated.
COMPILED = "model_npu.tflite"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Answers:
    """What the best class of each golden item is called; ``output`` scores the classes."""

    output: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Golden:
    """Raw inputs ``[n, ...]`` and the outputs they must give, within a tolerance per output.

    ``answers`` are the classes by name, where they have any: a label that stands in another place
    is seen. ``streams`` are the positions at which states begin anew; without any, at every item.
    """

    inputs: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[str, npt.NDArray[np.float32]]
    tolerance: Mapping[str, float]
    answers: Answers | None = None
    streams: tuple[int, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What goes into a bundle, whatever its layout.

    ``compiled`` is the model as its NPU takes it; golden outputs are those of ``model``, by
    ``signature`` where it has several and one is named. ``boxes`` says how a detector's outputs
    are read.
    """

    name: str
    version: str
    model: Path
    precision: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocess: Preprocess
    labels: tuple[str, ...]
    golden: Golden
    measurements: Mapping[str, Json]
    tools: Mapping[str, str]
    compiled: Path | None = None
    signature: str | None = None
    states: tuple[CarriedState, ...] = ()
    boxes: BoxesSpec | None = None


@runtime_checkable
class Layout(Protocol):
    """How a platform's bundle is laid out: a module of this shape, or an object."""

    def files(self, target: Target, contents: Contents) -> Mapping[str, bytes]:
        """Return what the platform needs besides the model, the manifest and the golden pairs,
        by path.
        """


def _own(name: str) -> Layout:
    layout: Layout = importlib.import_module(f"edgekit.targets.bundles.{OWN[name]}")
    return layout


# The modules of edgekit's own layouts, by the name that the catalog's targets give them.
OWN = {"linux-python": "linux_python", "microcontroller": "microcontroller"}
LAYOUTS: Table[Layout] = Table("edgekit.bundles", Layout, OWN, _own)


def unpackable(target: Target) -> str:
    """Say why no bundle can be made for a target, with the kinds that can be; empty if one can."""
    if target.bundle in LAYOUTS:
        return ""
    kinds = ", ".join(sorted(LAYOUTS))
    return f"{target.id} takes bundles of kind {target.bundle!r}; this version makes {kinds}"


def pack(target: Target, contents: Contents, path: Path) -> Bundle:
    """Write the bundle of ``contents`` for ``target`` to ``path``: same contents, same bytes.

    Raises :class:`NoBundleError` where this version makes no bundles of the target's kind.
    """
    if reason := unpackable(target):
        hint = "a package may add the kind: docs/extend.md"
        raise NoBundleError("EK-BUNDLE-020", f"no bundle: {reason}", hint)
    files = {**LAYOUTS[target.bundle].files(target, contents), **_golden_files(contents.golden)}
    files["model.tflite"] = contents.model.read_bytes()
    if contents.compiled is not None:
        files[COMPILED] = contents.compiled.read_bytes()
    files["labels.txt"] = "".join(f"{label}\n" for label in contents.labels).encode()
    manifest = _manifest(target, contents, files)
    files[MANIFEST] = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    content = _archive(f"{contents.name}-{contents.version}-{target.id}", files)
    write_bytes(path, content)
    return Bundle(path, hashlib.sha256(content).hexdigest(), len(content))


def _golden_files(golden: Golden) -> dict[str, bytes]:
    arrays = {f"golden/input_{k}.npy": v for k, v in enumerate(golden.inputs.values())}
    arrays |= {f"golden/output_{k}.npy": v for k, v in enumerate(golden.outputs.values())}
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array))
        files[name] = buffer.getvalue()
    return files


def _manifest(target: Target, contents: Contents, files: Mapping[str, bytes]) -> dict[str, Json]:
    golden = contents.golden
    return {
        "schema_version": SCHEMA_VERSION,
        "name": contents.name,
        "version": contents.version,
        "target": target.id,
        "model": {
            "file": "model.tflite",
            "precision": contents.precision,
            "inputs": _specs(contents.inputs, golden.inputs),
            "outputs": _specs(contents.outputs, golden.outputs),
            **({"signature": contents.signature} if contents.signature else {}),
            **({"states": states} if (states := _states(contents.states)) else {}),
            **_compiled(target, contents),
        },
        "preprocess": contents.preprocess.facts,
        "labels": list(contents.labels),
        "golden": {
            "of": "model.tflite on LiteRT, on the machine that packed this bundle",
            "inputs": {n: f"golden/input_{k}.npy" for k, n in enumerate(golden.inputs)},
            "outputs": {
                n: {"file": f"golden/output_{k}.npy", "tolerance": golden.tolerance[n]}
                for k, n in enumerate(golden.outputs)
            },
            **({"answers": asdict(golden.answers)} if golden.answers else {}),
            **({"streams": list(golden.streams)} if golden.streams else {}),
        },
        "runtimes": [
            {"name": r.name, "package": r.package, "version": r.version, "requires": r.requires}
            for r in target.runtimes
        ],
        "measurements": contents.measurements,
        "tools": contents.tools,
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in sorted(files.items())
        },
    }


def _compiled(target: Target, contents: Contents) -> Mapping[str, Json]:
    if contents.compiled is None or target.npu is None:
        return {}
    return {"compiled": {"file": COMPILED, "accelerator": target.npu.accelerator}}


def _states(states: tuple[CarriedState, ...]) -> dict[str, Json]:
    """Return what an app feeds each state with: zeros, then the output of the inference before."""
    return {
        one.input.name: {
            "output": one.output.name,
            "shape": [size or 1 for size in one.input.shape],
            "dtype": one.input.dtype,
        }
        for one in states
    }


def _specs(
    specs: tuple[TensorSpec, ...], golden: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Json]:
    """Return one item of each, whatever the file's batch; free sizes are those of the golden
    items.
    """
    return {
        s.name: {"shape": [1, *_item(s, golden[s.name].shape[1:])], "dtype": s.dtype} for s in specs
    }


def _item(spec: TensorSpec, held: tuple[int, ...]) -> tuple[int | None, ...]:
    whole = len(spec.shape) == len(held)
    sizes = spec.shape if whole else spec.shape[1:]
    if len(sizes) != len(held):
        return sizes
    return tuple(own or given for own, given in zip(sizes, held, strict=True))


def _archive(root: str, files: Mapping[str, bytes]) -> bytes:
    """Return a tar of regular files in name order, without times or owners, gzipped without a
    time.
    """
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0, compresslevel=9) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
