"""Bundles taken apart and packed again by hand, to plant a fault in them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import BundleError
from edgekit.targets.bundles import Contents, Golden, verify
from edgekit.targets.bundles.archive import MANIFEST
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Preprocess, TensorSpec

Files = dict[str, bytes]
ROOT = "root"


def probe_contents(tmp_path: Path) -> Contents:
    """The contents of a bundle around the probe."""
    model = tmp_path / "probe.tflite"
    model.write_bytes(probe_model())
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Contents(
        name="probe",
        version="1",
        model=model,
        precision="float32",
        inputs=(TensorSpec("x", (None, 4), "float32"),),
        outputs=(TensorSpec("y", (1, 4), "float32"),),
        preprocess=Preprocess(),
        labels=("a", "b", "c", "d"),
        golden=Golden({"x": x}, {"y": 2 * x}, {"y": 1e-6}),
        measurements={},
        tools={},
    )


def read(path: Path) -> Files:
    """A bundle's files by their path below its root."""
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
        }


def regular(name: str, content: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, b""


def write(path: Path, files: Files, *more: tuple[tarfile.TarInfo, bytes], root: str = ROOT) -> Path:
    """An archive of files below ``root``, and of further entries as they are."""
    with tarfile.open(path, "w:gz") as archive:
        for member, content in [*(regular(f"{root}/{n}", c) for n, c in files.items()), *more]:
            archive.addfile(member, io.BytesIO(content))
    return path


def listed(files: Files, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Files:
    """The files with a manifest that names their digests, changed."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
        if name != MANIFEST
    }
    change(manifest)
    return {**files, MANIFEST: json.dumps(manifest).encode()}


def refusal(path: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        verify(path)
    assert caught.value.exit_code == (2 if caught.value.code == "EK-BUNDLE-001" else 1)
    return caught.value
