"""A registered version of a model: its lineage, and the files that its targets ship."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgekit import strict_json
from edgekit.decoding import decode
from edgekit.errors import RecordError

FILE = "version.json"
SCHEMA_VERSION = 1
# More than a version of ten thousand targets has.
LARGEST = 16 << 20


@dataclass(frozen=True)
class KeptFile:
    """A file beside the version: its path from there, its digest and its size in bytes."""

    path: str
    sha256: str
    bytes: int
    kind: str = ""


@dataclass(frozen=True)
class ShippedTarget:
    """What a target ships: the candidate's model, and its bundles."""

    candidate: str
    model: KeptFile
    semantic_hash: str = ""
    bundles: tuple[KeptFile, ...] = ()


@dataclass(frozen=True)
class Lineage:
    """What a version was made of and by: digests from the data on, source, seeds and tools.

    ``items`` is of the evaluated items, ``training`` of the training data where edgekit trained,
    ``saved_model`` of the SavedModel that every candidate was judged by.
    """

    source: str
    saved_model: str
    items: str = ""
    training: str = ""
    seeds: Mapping[str, int] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """A version: who registered which run of what, when, and what came of it.

    ``declared`` is the version in the project file, ``registered`` a time in UTC, ``commit`` empty
    outside git, and ``verdict`` that of the run by its own budgets.
    """

    model: str
    number: int
    run: str
    declared: str
    registered: str
    by: str
    verdict: str
    lineage: Lineage
    targets: Mapping[str, ShippedTarget] = field(default_factory=dict)
    commit: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.model}:{self.number}"


def write(version: Version, folder: Path) -> None:
    """Write a version's facts into its folder."""
    document = {"schema_version": SCHEMA_VERSION, **asdict(version)}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


def read(folder: Path) -> Version:
    """Read a version's facts. Raises :class:`RecordError` where they are damaged."""
    path = folder / FILE
    try:
        document = strict_json.bounded(path, LARGEST)
        parsed = strict_json.loads(document)
        if not isinstance(parsed, dict):
            raise ValueError("it is not a JSON object")
        number = parsed.get("schema_version")
        if number != SCHEMA_VERSION:
            raise ValueError(f"schema_version {str(number)[:20]} is not known: a newer edgekit?")
        version = decode(parsed, Version)
        if (version.model, str(version.number)) != (folder.parent.name, folder.name):
            raise ValueError(f"it says that it is {str(version)[:100]}")
    except (OSError, ValueError, TypeError) as error:
        hint = f"{str(error)[:300]}\nrestore it from version control or a copy, or remove {folder}"
        raise RecordError("EK-RECORD-001", f"{path} cannot be read", hint) from error
    return version
