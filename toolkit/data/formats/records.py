"""TFRecord files of ``tf.train.Example``: parsed in the worker, one record at a time."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data import images
from edgekit.data.blocks import Writer
from edgekit.data.dataset import LABELS, NAMES, Dataset, check_file, describe
from edgekit.data.formats.feature_spec import stated_arrays
from edgekit.data.reading import Reading
from edgekit.errors import DataError, WorkerDied
from edgekit.isolated import ParserFailure, last_noted, note, watched_file
from edgekit.store import sha256
from edgekit.types import Feature, Json, Preprocess

INPUT = "x"
SUFFIXES = (".tfrecord", ".tfrecords")
# One of the files that a set of records is cut into.
SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
# Where the worker says which record it reads.
NOTED = ".reading"
GZIP = b"\x1f\x8b"
LABEL_FEATURES = (LABELS, "label", "image/class/label")
NAME_FEATURES = ("image/filename", "file_name", "filename")
# What converters of picture collections note besides the picture and its class.
# Source: TensorFlow Models, research/slim/datasets/build_imagenet_data.py.
NOTES = (
    "image/height",
    "image/width",
    "image/channels",
    "image/colorspace",
    "image/format",
    "image/class/synset",
    "image/class/text",
    "image/object/number",
)


def matches(path: Path) -> bool:
    return bool(shards(path))


def shards(path: Path) -> list[Path]:
    """Return the files that a path stands for: itself, a folder's, or those that fit a pattern
    (``*``).

    A shard is called like ``test.tfrecord-00000-of-00004``.
    """
    if any(sign in path.name for sign in "*?") and not path.exists():
        files = sorted(path.parent.glob(path.name))
    else:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
    named = [file for file in files if file.suffix in SUFFIXES or SHARD.search(file.name)]
    return [file for file in named if not file.is_dir()]


def check(path: Path) -> None:
    """Refuse files whose first record is cut off, and an incomplete set of shards.

    Raises :class:`DataError`.
    """
    files = shards(path)
    for file in files:
        _check(file)
    numbered = [match for file in files if (match := SHARD.search(file.name))]
    whole = {int(match[2]) for match in numbered}
    if path not in files and len(whole) == 1 and len(numbered) < max(whole):
        message = f"{path} has {len(numbered)} of {max(whole)} shards"
        raise DataError("EK-DATA-003", message, "fetch the others, or name one shard alone")


def _check(path: Path) -> None:
    check_file(path, "data file")
    with path.open("rb") as file:
        head = file.read(12)
    # A record: length (8 bytes, little-endian), its checksum (4), the data, its checksum (4).
    # Source: TensorFlow documentation, "TFRecord and tf.train.Example", "TFRecords format details".
    whole = len(head) == 12 and 16 + struct.unpack("<Q", head[:8])[0] <= path.stat().st_size
    if not head.startswith(GZIP) and not whole:
        hint = "it is cut off within its first record, or it is not a TFRecord file"
        raise DataError("EK-DATA-003", f"{path} cannot be read as TFRecord", hint)


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the features by name: lists of numbers are arrays, encoded pictures the input ``x``.

    The labels are the feature ``y``, ``label``, ``image/class/label``, or the one named. Raises
    :class:`DataError` with the number of a record that is damaged, or has other features than the
    first.
    """
    spec = images.resolved(reading.preprocess, reading.inputs)
    paths = shards(reading.path)
    stated = reading.preprocess.resize is not None
    key: dict[str, Json] = {
        "sha256": [sha256(path) for path in paths],
        "label": reading.label,
        "beside": list(reading.columns),
        "pictures": images.key(spec),
        "defaulted": not stated,
        **({"features": _as_key(reading)} if reading.types.features else {}),
    }

    refusal = ParserFailure(DataError, "EK-DATA-003", reading.source, "TFRecord")

    def make(folder: Path) -> Mapping[str, Json]:
        try:
            return reading.worker.call(  # type: ignore[no-any-return]
                convert,
                reading.source,
                tuple(paths),
                spec,
                stated,
                reading.columns,
                reading.label,
                reading.types.features,
                folder,
            )
        except WorkerDied as error:
            place = last_noted(folder / NOTED)
            refused = refusal.of(place, "the TensorFlow worker did not come back from it")
            refused.hint += f"\n{error.message}\n{error.hint}"
            raise refused from error

    return reading.obtain(key, make)


def convert(
    source: str,
    paths: tuple[Path, ...],
    spec: Preprocess,
    stated: bool,
    columns: tuple[str, ...],
    label: str | None,
    stated_features: Mapping[str, Feature],
    folder: Path,
) -> Mapping[str, Json]:
    """Write the records' features as ``.npy`` files (in the worker); facts for the store."""
    # Importing it takes its time, which is not the file's.
    import tensorflow  # noqa: F401

    writer = Writer(folder, source)
    tally, decoded = images.Tally(), {}
    refusal = ParserFailure(DataError, "EK-DATA-003", source, "TFRecord")
    with watched_file(folder / NOTED, refusal):
        for where, features in _records(source, paths):
            item, pictures = (
                _stated_item(where, features, spec, columns, label, stated_features)
                if stated_features
                else _item(where, features, spec, columns, label)
            )
            for picture in pictures:
                tally.add(picture, spec)
                decoded = {"pictures": images.decoded(picture.array, spec)}
            writer.add(item)
    beside = [name for name in (NAMES, *columns) if name in writer.names]
    facts = dict(describe(source, writer.close()))
    notices: list[Json] = list(tally.notices(source, spec, stated))
    alone = SHARD.search(paths[0].name) if len(paths) == 1 else None
    if alone and int(alone[2]) > 1:
        every = f"{SHARD.sub('', paths[0].name)}-*"
        notices.append(f"{source} is one of {int(alone[2])} shards; all of them: '{every}'")
    return {**facts, "beside": list(beside), "notices": notices, **decoded}


def _records(source: str, paths: tuple[Path, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every record's features, and where it is."""
    for path in paths:
        shown = source if len(paths) == 1 else f"{source}, {path.name}"
        note(f"{shown}: record 0")
        for number, features in enumerate(_features(path)):
            yield f"{shown}: record {number}", features
            note(f"{shown}: record {number + 1}")


def _features(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield each record's features. Raises :class:`DataError` with a damaged record's number."""
    import tensorflow as tf

    with path.open("rb") as file:
        packed = "GZIP" if file.read(2) == GZIP else ""
    number = 0
    try:
        for record in tf.data.TFRecordDataset(str(path), packed).as_numpy_iterator():
            yield tf.train.Example.FromString(record).features.feature
            number += 1
    except (tf.errors.OpError, ValueError) as error:
        hint = f"truncated, damaged, or not a tf.train.Example: {str(error)[:200]}"
        raise DataError("EK-DATA-003", f"{path}: record {number} cannot be read", hint) from error
    # What protobuf raises is not a child of ValueError in all of its implementations.
    except Exception as error:
        if type(error).__name__ != "DecodeError":
            raise
        hint = "the records must be serialized tf.train.Example messages"
        message = f"{path}: record {number} is not a tf.train.Example"
        raise DataError("EK-DATA-003", message, hint) from error


def _item(
    where: str,
    features: Mapping[str, Any],
    spec: Preprocess,
    columns: tuple[str, ...],
    label: str | None,
) -> tuple[dict[str, Any], list[images.Picture]]:
    """Return one record's arrays by name, and the pictures among them."""
    labelled = label or next((name for name in LABEL_FEATURES if name in features), None)
    if label is not None and label not in features:
        hint = f"it has {', '.join(sorted(features))[:300]}"
        raise DataError("EK-DATA-016", f"{where} has no feature {label!r} for labels", hint)
    if labelled != LABELS and LABELS in features:
        message = f"{where} has {LABELS!r} besides its labels {labelled!r}"
        raise DataError("EK-DATA-016", message, f"give the input {LABELS!r} another name")
    item: dict[str, Any] = {}
    pictures: list[images.Picture] = []
    for name in sorted(features):
        feature = features[name]
        kind = feature.WhichOneof("kind")
        called = name
        if name == labelled:
            called, value = LABELS, _number(where, name, feature, kind)
        elif kind == "bytes_list" and (name in columns or name in NAME_FEATURES):
            called, value = name if name in columns else NAMES, _text(feature)
        elif name in NOTES and name not in columns:
            continue
        elif kind == "bytes_list":
            pictures.append(_picture(where, name, feature, spec))
            called, value = INPUT, pictures[-1].array
        else:
            value = _values(where, name, feature, kind)
        if called in item:
            message = f"{where} has several features that are {called!r}, one of them {name!r}"
            raise DataError(
                "EK-DATA-010", message, "records of one picture, or of arrays, are read"
            )
        item[called] = value
    return item, pictures


def _as_key(reading: Reading) -> Json:
    return {name: asdict(feature) for name, feature in reading.types.features.items()}


def _stated_item(
    where: str,
    features: Mapping[str, Any],
    spec: Preprocess,
    columns: tuple[str, ...],
    label: str | None,
    stated: Mapping[str, Feature],
) -> tuple[dict[str, Any], list[images.Picture]]:
    """Return the features that the user named, the labels as such, and columns of text."""
    labelled = label or next((name for name in LABEL_FEATURES if name in stated), None)
    called = {} if labelled is None else {labelled: LABELS}
    item, pictures = stated_arrays(where, features, stated, spec, called)
    texts = [name for name in columns if name not in stated and name in features]
    return {**item, **{name: _text(features[name]) for name in texts}}, pictures


def _picture(where: str, name: str, feature: Any, spec: Preprocess) -> images.Picture:
    content = feature.bytes_list.value[0] if len(feature.bytes_list.value) else b""
    if not content.startswith(images.STARTS):
        message = f"{where}: {name!r} is bytes, not an encoded image"
        hint = "name a text feature as a slice or a group; save other values as numbers"
        raise DataError("EK-DATA-009", message, hint)
    return images.read(content, f"{where}, {name!r}", spec)


def _text(feature: Any) -> str:
    values = feature.bytes_list.value
    return str(values[0].decode("utf-8", "replace")) if len(values) else ""


def _number(where: str, name: str, feature: Any, kind: str) -> Any:
    if kind == "bytes_list":
        message = f"{where}: the label {name!r} is text"
        raise DataError("EK-DATA-009", message, "labels are class numbers, or targets")
    return _values(where, name, feature, kind)


def _values(where: str, name: str, feature: Any, kind: str | None) -> Any:
    """Return a list of numbers as int64 or float32; one number without a dimension."""
    if kind is None:
        raise DataError("EK-DATA-003", f"{where}: feature {name!r} is empty")
    dtype = np.int64 if kind == "int64_list" else np.float32
    values = np.array(getattr(feature, kind).value, dtype)
    return values[0] if len(values) == 1 else values
