"""The outbox: entries that MLflow has not got yet, each a folder with its files."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit import scratch
from edgekit.record.mlflow import entry as entries
from edgekit.record.mlflow.entry import Entry, SentFile
from edgekit.store import sha256, writing

FILES = "files"
PARTS = ".parts"


def keep(outbox: Path, entry: Entry, sources: Mapping[str, Path], texts: Mapping[str, str]) -> Path:
    """Put an entry into the outbox: whole, or not at all. Return its folder.

    ``sources`` are files and folders, and ``texts`` contents, by their path among the artefacts; a
    source that is not there is left out. Raises :class:`StoreError` on a full disk.
    """
    with writing(outbox), scratch.held(outbox / PARTS) as folder:
        kept = [*_linked(sources, folder / FILES), *_written(texts, folder / FILES)]
        entries.write(replace(entry, files=tuple(kept)), folder)
        # In the order in which they were made.
        place = outbox / f"{time.time_ns():020d}-{uuid.uuid4().hex[:6]}"
        folder.replace(place)
    return place


def pending(outbox: Path) -> tuple[Path, ...]:
    """Return the entries that are not sent yet, the oldest first."""
    if not outbox.is_dir():
        return ()
    return tuple(sorted(path for path in outbox.iterdir() if (path / entries.FILE).is_file()))


def _linked(sources: Mapping[str, Path], folder: Path) -> list[SentFile]:
    return [
        _file(_link(file, folder / path / file.relative_to(source)), folder)
        for path, source in sources.items()
        for file in _files(source)
    ]


def _files(source: Path) -> list[Path]:
    if source.is_dir():
        return sorted(path for path in source.rglob("*") if path.is_file())
    return [source] if source.is_file() else []


def _link(source: Path, path: Path) -> Path:
    """Keep what a file holds now, without a copy where the disk can: edgekit writes no file anew
    in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)
    return path


def _written(texts: Mapping[str, str], folder: Path) -> list[SentFile]:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [_file(folder / name, folder) for name in texts]


def _file(path: Path, folder: Path) -> SentFile:
    return SentFile(path.relative_to(folder).as_posix(), sha256(path), path.stat().st_size)
