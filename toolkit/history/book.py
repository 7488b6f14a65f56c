"""The file of the history, a line of JSON each; or a folder of such files, one per run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from edgekit import nearby, strict_json
from edgekit.decoding import decode
from edgekit.errors import HistoryError
from edgekit.history.entry import SCHEMA_VERSION, HistoryEntry
from edgekit.store import write_bytes

BOOK = "edgekit-history.jsonl"
# Far above what years of nightly runs leave.
LARGEST = 64 << 20
LONGEST_LINE = 1 << 20
# What a figure has that is not as usual.
USUAL = {"how": "measured", "tool": "", "reason": ""}


def add(path: Path, new: Iterable[HistoryEntry]) -> bool:
    """Add a run's lines, whole or not at all; in a folder as a file of its own.

    Returns False where the run is there already. Raises :class:`HistoryError` where what is there
    cannot be read: nothing is added to a damaged file.
    """
    lines = tuple(new)
    known = read(path) if path.exists() else ()
    runs = {entry.run for entry in known}
    if not lines or all(entry.run in runs for entry in lines):
        return False
    if is_folder(path):
        path, known = path / f"{lines[0].run}.jsonl", ()
    before = path.read_bytes() if path.exists() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    write_bytes(path, before + b"".join(map(_line, lines)))
    return True


def is_folder(path: Path) -> bool:
    """Tell whether a history is a folder, or is to be one."""
    return path.is_dir() or (not path.exists() and path.suffix != ".jsonl")


def read(path: Path) -> tuple[HistoryEntry, ...]:
    """Return every line, the oldest run first.

    Raises :class:`HistoryError`, with the number of the line, where one is damaged or not ours.
    """
    if not path.exists():
        hint = "start one: `edgekit history add`, or `edgekit check --history FILE`"
        raise HistoryError("EK-HISTORY-001", f"there is no history {path}", nearby.hint(path, hint))
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    found = [entry for file in files for entry in _read(file)]
    return tuple(sorted(found, key=lambda entry: (entry.date, entry.run)))


def _read(file: Path) -> Iterator[HistoryEntry]:
    if file.stat().st_size > LARGEST:
        raise _damaged(f"{file}", f"it has {file.stat().st_size:,} bytes; at most {LARGEST:,}")
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield _parse(line)
        except (ValueError, TypeError) as error:
            raise _damaged(f"{file}, line {number}", _reason(error)) from error


def _damaged(where: str, why: str) -> HistoryError:
    hint = f"{why}\nrestore it from version control, or remove that line"
    return HistoryError("EK-HISTORY-002", f"{where} cannot be read", hint)


def _reason(error: Exception) -> str:
    """Return what is wrong, and where in the line."""
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON, or was cut short: {error.msg} at column {error.colno}"
    return str(error)[:300]


def _parse(line: bytes) -> HistoryEntry:
    """Return a line's entry. Raises ValueError or TypeError."""
    if len(line) > LONGEST_LINE:
        raise ValueError(f"it has {len(line):,} bytes; a line has at most {LONGEST_LINE:,}")
    document = strict_json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    version = document.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        hint = "; a newer edgekit wrote it" if newer else ""
        raise ValueError(f"schema_version {str(version)[:20]} is not known{hint}")
    entry = decode(document, HistoryEntry)
    for name, figure in entry.figures.items():
        if figure.value is None:
            raise ValueError(f"figures.{name} has no value")
        if figure.low is not None and figure.high is not None and figure.low > figure.high:
            raise ValueError(f"figures.{name}: low {figure.low} lies above high {figure.high}")
    return entry


def _line(entry: HistoryEntry) -> bytes:
    """Return an entry as a line: without what is as usual, so that the file stays small."""
    document = {key: value for key, value in asdict(entry).items() if value not in ("", ())}
    document["target"] = entry.target
    document["figures"] = {
        name: {
            key: value
            for key, value in figure.items()
            if value is not None and USUAL.get(key) != value and key != "tool"
        }
        for name, figure in document["figures"].items()
    }
    text = json.dumps({"schema_version": SCHEMA_VERSION, **document}, separators=(",", ":"))
    return text.encode() + b"\n"
