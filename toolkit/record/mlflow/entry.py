"""One entry of the record: a run, and where it is one, the version and the alias that came of it.

An entry is whole by itself and the same whenever it is sent, so that sending it twice, or the rest
of it after half of it, changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgekit import strict_json
from edgekit.decoding import decode

FILE = "entry.json"
SCHEMA_VERSION = 1
LARGEST = 64 << 20


@dataclass(frozen=True)
class Measured:
    """A metric as MLflow has them: a number by its name, at a step."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True)
class DataUsed:
    """Data that a run used: its digest, its source, and what for (``training``, ``evaluation``)."""

    name: str
    digest: str
    source: str
    context: str


@dataclass(frozen=True)
class SentFile:
    """A file by its path among the run's artefacts, its digest and its size in bytes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Entry:
    """What is recorded of a run: times in milliseconds since 1970.

    ``run`` tells a run from all others, whatever MLflow calls it. With a ``version`` it is that
    version of ``model``, which takes the ``alias`` where there is one; ``note`` and
    ``version_tags`` are the version's.
    """

    run: str
    experiment: str
    started: int
    ended: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Measured, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    data: tuple[DataUsed, ...] = ()
    files: tuple[SentFile, ...] = ()
    model: str = ""
    version: int | None = None
    version_tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    alias: str = ""

    @property
    def title(self) -> str:
        """What people call it."""
        named = f"{self.model}:{self.version}" if self.version is not None else self.run
        return f"{named} as {self.alias}" if self.alias else named


def write(entry: Entry, folder: Path) -> None:
    """Write an entry into its folder."""
    document = {"schema_version": SCHEMA_VERSION, **asdict(entry)}
    (folder / FILE).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def read(folder: Path) -> Entry:
    """Read an entry. Raises ValueError or OSError where it is damaged."""
    document = strict_json.loads(strict_json.bounded(folder / FILE, LARGEST))
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(f"schema_version {str(version)[:20]} is not known")
    return decode(document, Entry)
