"""Promotions on record: which version became what, by whom, why, and by which checks."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from edgekit import strict_json
from edgekit.decoding import decode
from edgekit.errors import RecordError

FILE = "promotions.jsonl"
SCHEMA_VERSION = 1
LARGEST = 64 << 20


@dataclass(frozen=True)
class Judged:
    """A check by which a version was promoted, in words."""

    target: str
    name: str
    status: str
    message: str
    limit: str = ""


@dataclass(frozen=True)
class Promotion:
    """A version that an alias stands for from then on; ``before`` it stood for another, or none.

    ``when`` is a time in UTC. A ``rollback`` goes back to the one before, and judges nothing.
    """

    alias: str
    version: int
    before: int | None
    when: str
    by: str
    reason: str = ""
    rollback: bool = False
    checks: tuple[Judged, ...] = ()


def read(folder: Path) -> tuple[Promotion, ...]:
    """Read a model's promotions, the oldest first. Raises :class:`RecordError`."""
    path = folder / FILE
    if not path.is_file():
        return ()
    promotions = []
    try:
        lines = strict_json.bounded(path, LARGEST).splitlines()
    except (OSError, ValueError) as error:
        raise _damaged(str(path), error) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            document = strict_json.loads(line)
            version = document.get("schema_version") if isinstance(document, dict) else None
            if version != SCHEMA_VERSION:
                raise ValueError(f"schema_version {str(version)[:20]} is not known")
            promotions.append(decode(document, Promotion))
        except (ValueError, TypeError) as error:
            raise _damaged(f"{path}, line {number}", error) from error
    return tuple(promotions)


def add(folder: Path, promotion: Promotion) -> None:
    """Append a promotion, and see to it that the disk has it."""
    document = {"schema_version": SCHEMA_VERSION, **asdict(promotion)}
    line = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    path = folder / FILE
    size = path.stat().st_size if path.is_file() else 0
    with path.open("ab") as file:
        try:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            # Half a line would make all of them unreadable.
            os.truncate(path, size)
            raise


def _damaged(where: str, error: Exception) -> RecordError:
    hint = f"{str(error)[:300]}\nrestore it from version control, or remove that line"
    return RecordError("EK-RECORD-001", f"{where} cannot be read", hint)
