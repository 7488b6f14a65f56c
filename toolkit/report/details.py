"""``details.json``: what pages and charts of a run draw. Its shape is ``details.schema.json``."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from itertools import chain, pairwise
from pathlib import Path

from edgekit import strict_json
from edgekit.decoding import decode
from edgekit.errors import ProjectError
from edgekit.report.document import plain
from edgekit.store import write_text
from edgekit.types.details import CandidateDetails, DataDetails, Details, LaunchSamples

FILE = "details.json"
SCHEMA_VERSION = 1
# More than the largest that is written: every list of it is bounded.
LARGEST = 32 << 20
MOST_SAMPLES = 200
MOST_PICTURES = 1000
PICTURE_SIDE = 96
# A picture of that side that cannot be compressed, with its header.
PICTURE_BYTES = 4 * PICTURE_SIDE**2 + 1024
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def write(details: Details, folder: Path) -> None:
    """Write the details into a run's folder; where one is not a number, only that it is not."""
    try:
        text = _text(details)
    except ValueError as error:
        absent = {"details": f"a figure cannot be written: {error}"}
        text = _text(Details(details.run, details.kind, details.command, absent=absent))
    write_text(folder / FILE, text + "\n")


def _text(details: Details) -> str:
    document = {"schema_version": SCHEMA_VERSION, **plain(details)}
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def read(folder: Path) -> Details | None:
    """Read the details of a run; None where it left none, as runs of earlier releases.

    Raises :class:`ProjectError` where the file is damaged or was changed.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        document = strict_json.loads(strict_json.bounded(path, LARGEST))
        if not isinstance(document, dict):
            raise ValueError("it is not a JSON object")
        version = document.get("schema_version")
        if type(version) is not int or version != SCHEMA_VERSION:
            message = f"schema_version {str(version)[:20]} is not known"
            raise ValueError(f"{message}; this edgekit reads {SCHEMA_VERSION}")
        details = decode(document, Details)
        for problem in _problems(details):
            raise ValueError(problem)
        return details
    except (OSError, ValueError, TypeError) as error:
        hint = f"{error}; delete it, and the report is drawn without it, or repeat the run"
        raise ProjectError("EK-REPORT-006", f"{path} cannot be read", hint) from error


def _problems(details: Details) -> Iterator[str]:
    """Yield what a page could not draw, or what would mislead it."""
    yield from _unsafe_pictures(details.pictures)
    named = {"reference": details.reference}
    named |= {f"candidates.{name}": one for name, one in details.candidates.items()}
    for name, candidate in named.items():
        yield from (f"{name}.{problem}" for problem in _of_candidate(candidate, details.pictures))
    for name, data in (
        ("representative", details.representative),
        ("evaluated", details.evaluated),
        ("trained", details.trained),
    ):
        if data is not None:
            yield from (f"{name}.{problem}" for problem in _of_data(data, details.pictures))


def _unsafe_pictures(pictures: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with pictures that a page would show."""
    if len(pictures) > MOST_PICTURES:
        yield f"pictures: there are {len(pictures)}, and {MOST_PICTURES} at most are drawn"
    for name, text in pictures.items():
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            yield f"pictures.{name[:60]} is not base64"
            continue
        sides = [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)]
        if not content.startswith(PNG) or len(content) > PICTURE_BYTES:
            yield f"pictures.{name[:60]} is not a small PNG"
        elif not all(1 <= side <= PICTURE_SIDE for side in sides):
            yield f"pictures.{name[:60]} is larger than {PICTURE_SIDE} pixels"


def _of_candidate(candidate: CandidateDetails, pictures: Mapping[str, str]) -> Iterator[str]:
    yield from chain.from_iterable(
        map(_of_launch, chain(candidate.launches, *candidate.device_launches.values()))
    )
    if candidate.confusion is not None:
        count, rows = len(candidate.confusion.labels), candidate.confusion.matrix
        if len(rows) != count or any(len(row) != count for row in rows):
            yield "confusion.matrix is not as large as its labels are many"
        elif min(chain((0,), *rows)) < 0:
            yield "confusion.matrix has a count below 0"
    if candidate.reliability is not None and any(
        bin.count < 0 for bin in candidate.reliability.bins
    ):
        yield "reliability has a count below 0"
    for item in candidate.worst_items:
        if item.picture and item.picture not in pictures:
            yield f"worst_items: there is no picture {item.picture[:60]!r}"
    yield from _of_file(candidate)


def _of_launch(launch: LaunchSamples) -> Iterator[str]:
    samples = launch.samples
    if not 0 < len(samples) <= min(launch.count, MOST_SAMPLES):
        yield f"launches: there are {len(samples)} samples of {launch.count} runs"
    elif samples[0] < 0 or any(a > b for a, b in pairwise(samples)):
        yield "launches: samples are not in ascending order from 0"


def _of_file(candidate: CandidateDetails) -> Iterator[str]:
    """Yield what is wrong with sizes, operators and layers."""
    if candidate.sizes is not None:
        parts = [*(row.bytes for row in candidate.sizes.tensors), *candidate.sizes.rest.values()]
        if min((0, *parts)) < 0 or sum(parts) > candidate.sizes.total:
            yield f"sizes: the parts are {sum(parts)} bytes of {candidate.sizes.total}"
    if candidate.operators is not None:
        rows, islands = candidate.operators.rows, candidate.operators.islands
        places = [at for row in rows for at in row.inputs]
        places += [at for island in islands for at in island.rows]
        yield from _outside("operators", places, len(rows))
        own = [row.island for row in rows if row.island is not None]
        yield from _outside("operators: island", own, len(islands))
    if candidate.layers is not None:
        layers = candidate.layers
        places = [*layers.ranked, *(at for row in layers.rows for at in row.inputs)]
        first = () if layers.first_fall is None else (layers.first_fall,)
        yield from _outside("layers", [*places, *first], len(layers.rows))


def _outside(name: str, places: list[int], count: int) -> Iterator[str]:
    wrong = next((at for at in places if not 0 <= at < count), None)
    if wrong is not None:
        yield f"{name}: there is no row {wrong} of {count}"


def _of_data(data: DataDetails, pictures: Mapping[str, str]) -> Iterator[str]:
    if min((data.items, *data.classes.values())) < 0:
        yield "has a count below 0"
    for name, entry in data.inputs.items():
        where = f"inputs.{name[:60]}"
        if entry.histogram is not None:
            edges, counts = entry.histogram.edges, entry.histogram.counts
            if len(edges) != len(counts) + 1 or min((0, *counts)) < 0:
                yield f"{where}: the histogram has {len(edges)} edges of {len(counts)} counts"
        for key in entry.pictures:
            if key not in pictures:
                yield f"{where}: there is no picture {key[:60]!r}"
        for curve in (*entry.examples, *([entry.envelope] if entry.envelope else ())):
            if len(curve.low) != len(curve.high):
                yield f"{where}: a curve has {len(curve.low)} lows and {len(curve.high)} highs"
