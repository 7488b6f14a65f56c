"""Records of apps and servers, read as those of another hand and summed."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgekit import nearby, strict_json
from edgekit.errors import RecordError
from edgekit.record.monitoring.golden import Counts, Golden
from edgekit.record.monitoring.raw_items import RawFile, RawSample, is_raw, read_head, read_item
from edgekit.types.monitored import Refused

SCHEMA_VERSION = 1
NONE = "EK-RECORD-022"
STDIN = "-"
# A line of a record is a few thousand bytes, of a model with a thousand classes twenty thousand;
# one of a raw item as many as its file may have.
LONGEST_LINE = 16 << 20
MOST_REFUSED = 20
# Whatever is summed of so many windows as anyone has stays below 2^63.
MOST_COUNT = 1 << 40
MOST_BUCKET = 1 << 10


class _Foreign(ValueError):
    """A record of another bundle."""


@dataclass
class Batch:
    """The sum of records, and the lines that are not in it.

    ``refused`` are the first of those, ``kinds`` how many there are of each kind.
    """

    features: dict[str, Counts]
    missing: Counter[str] = field(default_factory=Counter)
    classes: Counter[int] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    devices: Counter[str] = field(default_factory=Counter)
    items: int = 0
    errors: int = 0
    unrecorded: int = 0
    windows: int = 0
    began: str = ""
    ended: str = ""
    refused: list[Refused] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    raw: RawSample = field(default_factory=RawSample)

    def class_counts(self, count: int) -> Counts:
        """Return the counts of classes by number."""
        return np.array([self.classes.get(k, 0) for k in range(count)], np.int64)

    def refuse(self, refused: Refused) -> None:
        """Note a line that is not counted."""
        self.kinds[refused.kind] += 1
        if len(self.refused) < MOST_REFUSED:
            self.refused.append(refused)


def read_records(sources: Sequence[str], golden: Golden, items: int = 0) -> Batch:
    """Sum the records of files, folders and patterns, ``-`` for standard input; of raw items among
    them hold so many that stand out.

    A line that is damaged, of another bundle or there twice is not counted, and named. Raises
    :class:`RecordError` where there is no file to read.
    """
    zeros = {name: np.zeros_like(one.counts) for name, one in golden.features.items()}
    batch = Batch(zeros, raw=RawSample(items))
    seen: set[bytes] = set()
    for name in files_of(sources):
        reading = _Reading(batch, golden, seen, name)
        try:
            with _opened(name) as file:
                for number, line in _lines(file):
                    reading.take(number, line)
        except OSError as error:
            message = f"{name} cannot be read: {error.strerror or error}"
            raise RecordError(NONE, message, "name records that this account may read") from error
    return batch


def files_of(sources: Sequence[str]) -> tuple[str, ...]:
    """Return the files that are meant, each once. Raises :class:`RecordError` where none is."""
    files: dict[str, None] = {}
    for source in sources:
        path = Path(source)
        if source == STDIN:
            files[STDIN] = None
        elif path.is_dir():
            inside = sorted(path.glob("*.jsonl"))
            if not inside:
                message = f"{source} has no records: no file of it ends in .jsonl"
                raise RecordError(NONE, message, "the app writes records.jsonl, if it is told to")
            files |= {str(one.resolve()): None for one in inside}
        elif path.is_file():
            files[str(path.resolve())] = None
        else:
            matches = _matches(path)
            if not matches:
                hint = nearby.hint(path) or "the app writes records.jsonl, if it is told to"
                raise RecordError(NONE, f"there are no records {source}", hint)
            files |= {str(one.resolve()): None for one in matches}
    return tuple(files)


def _matches(pattern: Path) -> list[Path]:
    """Return the files that a pattern names."""
    below = str(pattern.relative_to(pattern.anchor))
    try:
        return sorted(path for path in Path(pattern.anchor).glob(below) if path.is_file())
    except (ValueError, OSError, NotImplementedError):
        return []


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == STDIN:
        yield sys.stdin.buffer
    else:
        with Path(name).open("rb") as file:
            yield file


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield lines by number; of one that is longer than any of ours, its beginning alone."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE + 1)
        yield number, line


@dataclass
class _Reading:
    """A file that is read: where its lines go, and of which raw items its lines are."""

    batch: Batch
    golden: Golden
    seen: set[bytes]
    name: str
    raw: RawFile | None = None
    foreign: str = ""

    def take(self, number: int, line: bytes) -> None:
        """Count a line, or note why not."""
        if not line.strip():
            return
        batch, digest = self.batch, hashlib.sha256(line.rstrip()).digest()
        raw = False
        try:
            if len(line) > LONGEST_LINE:
                raise ValueError(f"it is longer than {LONGEST_LINE >> 20} MiB")
            document = strict_json.loads(line)
            raw = is_raw(document)
            if raw:
                self._take_raw(document)
                return
            record = _checked(document, self.golden)
        except _Foreign as error:
            batch.refuse(Refused(self.name, number, "foreign", str(error)))
            return
        except (ValueError, TypeError, KeyError) as error:
            if raw:
                batch.refuse(Refused(self.name, number, "raw item", _words(error)))
            elif line.endswith(b"\n"):
                batch.refuse(Refused(self.name, number, "damaged", _words(error)))
            else:
                told = "it ends in the middle: the app was stopped while it wrote"
                batch.refuse(Refused(self.name, number, "cut short", told))
            return
        if digest in self.seen:
            told = "the same record was there before"
            batch.refuse(Refused(self.name, number, "repeated", told))
            return
        self.seen.add(digest)
        _add(batch, record)

    def _take_raw(self, line: Mapping[str, Any]) -> None:
        """Take a line of raw items. Raises ValueError, KeyError or TypeError."""
        if "item" in line:
            if self.foreign:
                raise _Foreign(self.foreign)
            self.batch.raw.add(read_item(line, self.raw, self.golden))
            return
        self.raw, self.foreign = None, ""
        try:
            _check_bundle(line, self.golden)
        except _Foreign as error:
            self.foreign = str(error)
            raise
        self.raw, seen = read_head(line)
        self.batch.raw.seen += seen


def _words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {str(error.args[0])[:60]!r}"
    return str(error)[:200]


def _checked(record: Any, golden: Golden) -> Mapping[str, Any]:
    """Return a record that can be summed. Raises ValueError, which says what is wrong with it."""
    if not isinstance(record, dict):
        raise ValueError("it is not a record")
    version = record.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(f"schema_version {str(version)[:20]} is not known")
    _check_bundle(record, golden)
    items = _count(record["n"], "n")
    for name in ("errors", "unrecorded"):
        _count(record[name], name)
    for name in ("device", "began", "ended"):
        text = record[name]
        if not isinstance(text, str) or len(text) > 200 or not text.isprintable():
            raise ValueError(f"{name} is no printable text of at most 200 characters")
    features = record["features"]
    if not isinstance(features, dict):
        raise ValueError("features is not a table")
    for name, one in features.items():
        _check_feature(str(name), one, golden, items)
    classes = _table(
        record["classes"], "classes", len(golden.classes.counts) if golden.classes else 0
    )
    if sum(classes.values()) > items:
        raise ValueError(f"classes are of more than {items} items")
    latency = _table(record["latency"]["buckets"], "latency", MOST_BUCKET)
    return {**record, "classes": classes, "latency": latency}


def _check_bundle(record: Mapping[str, Any], golden: Golden) -> None:
    if record["golden"] != golden.digest:
        version = f"{str(record.get('name'))[:40]} {str(record.get('version'))[:40]}"
        raise _Foreign(f"it is of another bundle: {version}")


def _check_feature(name: str, counted: Any, golden: Golden, items: int) -> None:
    known = golden.features.get(name)
    if known is None:
        raise ValueError(f"the bundle has no feature {name[:60]!r}")
    if not isinstance(counted, dict) or not isinstance(counted["counts"], list):
        raise ValueError(f"{name[:60]} has no counts")
    if len(counted["counts"]) != len(known.counts):
        bins = f"{len(counted['counts'])} bins, and the bundle {len(known.counts)}"
        raise ValueError(f"{name[:60]} has {bins}")
    total = sum(_count(value, name) for value in counted["counts"])
    if total + _count(counted["nan"], name) > items:
        raise ValueError(f"{name[:60]} is counted of more than {items} items")


def _table(table: Any, name: str, most: int) -> dict[int, int]:
    """Return counts by number, below ``most``."""
    if not isinstance(table, dict):
        raise ValueError(f"{name} is not a table")
    counts: dict[int, int] = {}
    for key, value in table.items():
        if not (key.isascii() and key.isdigit() and len(key) < 9 and int(key) < most):
            raise ValueError(f"{name} has no number {key[:20]!r}")
        counts[int(key)] = counts.get(int(key), 0) + _count(value, name)
    return counts


def _count(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MOST_COUNT:
        raise ValueError(f"{name[:60]} is {str(value)[:30]}, which is not a count")
    return value


def _add(batch: Batch, record: Mapping[str, Any]) -> None:
    for name, one in record["features"].items():
        batch.features[name] = batch.features[name] + np.array(one["counts"], np.int64)
        batch.missing[name] += one["nan"]
    batch.classes.update(record["classes"])
    batch.latency.update(record["latency"])
    batch.devices[record["device"]] += record["n"]
    batch.items += record["n"]
    batch.errors += record["errors"]
    batch.unrecorded += record["unrecorded"]
    batch.windows += 1
    batch.began = min(filter(None, (batch.began, record["began"])), default="")
    batch.ended = max(batch.ended, record["ended"])
