"""Packing: a deterministic ``.tar.gz`` with a manifest that names every file's digest."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from edgekit.errors import NoBundleError, ProjectError
from edgekit.plugins import Table
from edgekit.store import write_bytes
from edgekit.targets.bundles.contents import Answers as Answers
from edgekit.targets.bundles.contents import Contents as Contents
from edgekit.targets.bundles.contents import Golden as Golden
from edgekit.targets.bundles.contents import Licence as Licence
from edgekit.targets.catalog import Target
from edgekit.types import Bundle, CarriedState, Json, TensorSpec

MANIFEST = "manifest.json"
# The model as an NPU takes it, beside the file that was evaluated.
COMPILED = "model_npu.tflite"
SCHEMA_VERSION = 1


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
OWN = {
    "linux-c": "linux_c",
    "linux-python": "linux_python",
    "microcontroller": "microcontroller",
}
LAYOUTS: Table[Layout] = Table("edgekit.bundles", Layout, OWN, _own)


def unpackable(target: Target, kind: str = "") -> str:
    """Say why no bundle can be made for a target, with the kinds that can be; empty if one can."""
    kind = kind or target.bundle
    if kind in LAYOUTS:
        return ""
    kinds = ", ".join(sorted(LAYOUTS))
    return f"{target.id} takes bundles of kind {kind!r}; this version makes {kinds}"


def pack(target: Target, contents: Contents, path: Path, kind: str = "") -> Bundle:
    """Write the bundle of ``contents`` for ``target`` to ``path``: same contents, same bytes.

    Its ``kind`` is the target's default where none is named. Raises :class:`NoBundleError` where
    this version makes no bundles of that kind, and :class:`ProjectError` where a file of the user's
    is called like one of the bundle's own.
    """
    kind = kind or target.bundle
    if reason := unpackable(target, kind):
        hint = "a package may add the kind: docs/extend.md"
        raise NoBundleError("EK-BUNDLE-020", f"no bundle: {reason}", hint)
    files = _files(target, contents, kind)
    manifest = _manifest(target, contents, files, kind)
    files[MANIFEST] = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    content = _archive(f"{contents.name}-{contents.version}-{target.id}", files)
    write_bytes(path, content)
    return Bundle(path, hashlib.sha256(content).hexdigest(), len(content), kind)


def _files(target: Target, contents: Contents, kind: str) -> dict[str, bytes]:
    """Return everything but the manifest, by path."""
    files = {**LAYOUTS[kind].files(target, contents), **_golden_files(contents.golden)}
    files["model.tflite"] = contents.model.read_bytes()
    if contents.compiled is not None:
        files[COMPILED] = contents.compiled.read_bytes()
    files["labels.txt"] = "".join(f"{label}\n" for label in contents.labels).encode()
    for name, content in contents.extra_files.items():
        if name in files or name == MANIFEST:
            message = f"[bundle] extra_files: the bundle has a file {name} of its own"
            raise ProjectError("EK-PROJECT-075", message, "give yours another name")
        files[name] = content
    return files


def _golden_files(golden: Golden) -> dict[str, bytes]:
    arrays = {f"golden/input_{k}.npy": v for k, v in enumerate(golden.inputs.values())}
    arrays |= {f"golden/output_{k}.npy": v for k, v in enumerate(golden.outputs.values())}
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array))
        files[name] = buffer.getvalue()
    return files


def _manifest(
    target: Target, contents: Contents, files: Mapping[str, bytes], kind: str
) -> dict[str, Json]:
    golden = contents.golden
    return {
        "schema_version": SCHEMA_VERSION,
        "name": contents.name,
        "version": contents.version,
        "target": target.id,
        "kind": kind,
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
