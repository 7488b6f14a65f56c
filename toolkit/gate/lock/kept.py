"""The files of a lock in the store, where later runs find them to be timed beside."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgekit.store import Store, sha256
from edgekit.types import Json

STAGE, FILE = "locked", "model.tflite"


def keep(store: Store, digest: str, places: Iterable[Path | None]) -> None:
    """Keep a file by its SHA-256, where one of the places still has it."""
    key = {"sha256": digest}
    if not digest or store.find(STAGE, key) is not None:
        return
    for path in places:
        if path is not None and path.is_file() and sha256(path) == digest:

            def make(folder: Path, path: Path = path) -> Mapping[str, Json]:
                shutil.copyfile(path, folder / FILE)
                return {}

            store.obtain(STAGE, key, make)
            return


def kept(store: Store, digest: str) -> Path | None:
    """Return the file that was kept, where it is there and is what it was."""
    artefact = store.find(STAGE, {"sha256": digest})
    return artefact.path / FILE if artefact else None
