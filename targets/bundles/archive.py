"""Packing: a deterministic ``.tar.gz`` with a manifest that names every file's digest."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from edgekit.errors import NoLayoutError, ProjectError
from edgekit.plugins import Table
from edgekit.store import write_bytes
from edgekit.targets.bundles.card import model_card
from edgekit.targets.bundles.contents import (
    CARD,
    COMPILED,
    LABELS,
    LICENCE,
    MANIFEST,
    MODEL,
    SBOM,
    SCHEMA_VERSION,
    SIGNATURE,
    Answers,
    Contents,
    Family,
    Gate,
    Golden,
    Licence,
)
from edgekit.targets.bundles.description import golden_files, manifest_of
from edgekit.targets.bundles.materials import bill_of_materials, licence_text
from edgekit.targets.bundles.monitoring import FILE as MONITORING
from edgekit.targets.bundles.monitoring import monitoring_file
from edgekit.targets.bundles.signing import SigningKey
from edgekit.targets.catalog import Target
from edgekit.types import Bundle

__all__ = [
    "COMPILED",
    "LAYOUTS",
    "MANIFEST",
    "OWN",
    "SCHEMA_VERSION",
    "SIGNATURE",
    "Answers",
    "Contents",
    "Family",
    "Gate",
    "Golden",
    "Layout",
    "Licence",
    "pack",
    "unpackable",
]

# Of gzip: 9 takes ten times as long on a model as C source, and makes it 4 % smaller.
GZIP_LEVEL = 6


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
    "android": "android",
    "ios": "ios",
    "linux-c": "linux_c",
    "linux-python": "linux_python",
    "microcontroller": "microcontroller",
    "tf-serving": "tf_serving",
    "web": "web",
}
LAYOUTS: Table[Layout] = Table("edgekit.bundles", Layout, OWN, _own)


def model_file(kind: str) -> str:
    """Return where a kind's bundle has the model: a layout may say so with ``MODEL``."""
    return str(getattr(LAYOUTS[kind], "MODEL", MODEL))


def unpackable(target: Target, kind: str = "") -> str:
    """Say why no bundle can be made for a target, with the kinds that can be; empty if one can."""
    kind = kind or target.bundle
    if kind in LAYOUTS:
        return ""
    kinds = ", ".join(sorted(LAYOUTS))
    return f"{target.id} takes bundles of kind {kind!r}; this version makes {kinds}"


def pack(
    target: Target,
    contents: Contents,
    path: Path,
    kind: str = "",
    key: SigningKey | None = None,
) -> Bundle:
    """Write the bundle of ``contents`` for ``target`` to ``path``: same contents, same bytes.

    Its ``kind`` is the target's default where none is named; it is signed where there is a ``key``.
    Raises :class:`NoLayoutError` where this version makes no bundles of that kind, and
    :class:`ProjectError` where a file of the user's is called like one of the bundle's own.
    """
    kind = kind or target.bundle
    if reason := unpackable(target, kind):
        hint = "a package may add the kind: docs/extend.md"
        raise NoLayoutError("EK-BUNDLE-020", f"no bundle: {reason}", hint)
    files = _files(target, contents, kind)
    manifest = manifest_of(target, contents, files, kind, model_file(kind), key)
    files[MANIFEST] = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    if key is not None:
        files[SIGNATURE] = key.sign(files[MANIFEST])
    content = archive_of(f"{contents.name}-{contents.version}-{target.id}", files)
    write_bytes(path, content)
    digest = hashlib.sha256(content).hexdigest()
    return Bundle(path, digest, len(content), kind, manifest["size"])


def _files(target: Target, contents: Contents, kind: str) -> dict[str, bytes]:
    """Return everything but the manifest, by path."""
    files = {**LAYOUTS[kind].files(target, contents), **golden_files(contents.golden)}
    files[model_file(kind)] = contents.model.read_bytes()
    if contents.compiled is not None:
        files[COMPILED] = contents.compiled.read_bytes()
    files[LABELS] = "".join(f"{label}\n" for label in contents.labels).encode()
    files[CARD] = model_card(target, contents).encode()
    if contents.monitoring is not None:
        files[MONITORING] = monitoring_file(contents)
    if licence := licence_text(contents.licence):
        files[LICENCE] = licence.encode()
    files[SBOM] = bill_of_materials(target, contents, kind).encode()
    for name, content in contents.extra_files.items():
        if name in files or name in (MANIFEST, SIGNATURE):
            message = f"[bundle] extra_files: the bundle has a file {name} of its own"
            raise ProjectError("EK-PROJECT-075", message, "give yours another name")
        files[name] = content
    return files


def archive_of(root: str, files: Mapping[str, bytes]) -> bytes:
    """Return a tar of regular files in name order, without times or owners, gzipped without a
    time.
    """
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(
            fileobj=buffer, mode="wb", filename="", mtime=0, compresslevel=GZIP_LEVEL
        ) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
