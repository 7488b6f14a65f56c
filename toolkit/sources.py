"""The version of the code: of an installed wheel, or a digest of sources that may change."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import edgekit

# Where installers put what nobody edits.
INSTALLED = {"site-packages", "dist-packages"}
COMPILED = "__pycache__"


@functools.cache
def code_version(
    package: Path = Path(edgekit.__file__).parent, version: str = edgekit.__version__
) -> str:
    """Return the version, followed by a digest of the package's files where they are a checkout.

    Whoever edits edgekit in a checkout is never served what the code before the edit made.
    """
    first = package / "__init__.py" if package.is_dir() else package
    if INSTALLED & set(first.resolve().parts):
        return version
    digest = hashlib.sha256()
    for name, content in _files(package):
        for part in (name.encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return f"{version}+{digest.hexdigest()[:16]}"


def _files(package: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files below a folder in a fixed order, through an editable install's links."""
    if package.is_file():
        yield package.name, package.read_bytes()
    for folder, folders, names in os.walk(package, followlinks=True):
        folders[:] = sorted(name for name in folders if name != COMPILED)
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file():
                yield path.relative_to(package).as_posix(), path.read_bytes()
