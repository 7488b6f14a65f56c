"""TFRecord files of ``tf.train.Example``: parsed in the worker, one record at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data import images
from edgekit.data.blocks import Writer
from edgekit.data.dataset import LABELS, NAMES, Dataset, check_file, describe
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.store import sha256
from edgekit.types import Json, Preprocess

INPUT = "x"
SUFFIXES = (".tfrecord", ".tfrecords")
GZIP = b"\x1f\x8b"
LABEL_FEATURES = (LABELS, "label", "image/class/label")
NAME_FEATURES = ("image/filename", "file_name", "filename")
# What converters of picture collections note besides the picture and its class.
# Source: TensorFlow Models, research/slim/datasets/build_imagenet_data.py.
NOTES = (
    "image/height", "image/width", "image/channels", "image/colorspace", "image/format",
    "image/class/synset", "image/class/text", "image/object/number",
)  # fmt: skip


def matches(path: Path) -> bool:
    return path.suffix in SUFFIXES and not path.is_dir()


def check(path: Path) -> None:
    """Refuse a file whose first record is cut off. Raises :class:`DataError`."""
    check_file(path, "data file")
    with path.open("rb") as file:
        head = file.read(12)
    # A record: length (8 bytes, little-endian), its checksum (4), the data, its checksum (4).
    # Source: TensorFlow documentation, "TFRecord and tf.train.Example", "TFRecords format details".
    whole = len(head) == 12 and 16 + struct.unpack("<Q", head[:8])[0] <= path.stat().st_size
    if not head.startswith(GZIP) and not whole:
        hint = "it is cut off within its first record, or it is no TFRecord file"
        raise DataError("EK-DATA-003", f"{path} cannot be read as TFRecord", hint)


def read(reading: Reading) -> tuple[Dataset, bool]:
    """The features by name: lists of numbers are arrays, encoded pictures the input ``x``.

    The labels are the feature ``y``, ``label``, ``image/class/label``, or the one named. Raises
    :class:`DataError` with the number of a record that is damaged, or has other features than the
    first.
    """
    spec = images.resolved(reading.preprocess, reading.inputs)
    key: dict[str, Json] = {
        "sha256": sha256(reading.path), "label": reading.label, "beside": list(reading.columns),
        "pictures": [list(spec.resize or ()), spec.crop, spec.color, spec.method],
        "defaulted": reading.preprocess.resize is None,
    }  # fmt: skip

    def make(folder: Path) -> Mapping[str, Json]:
        return reading.worker.call(  # type: ignore[no-any-return]
            convert, reading.source, reading.path, spec, reading.preprocess.resize is None,
            reading.columns, reading.label, folder,
        )  # fmt: skip

    return reading.kept(key, make)


def convert(
    source: str, path: Path, spec: Preprocess, defaulted: bool, columns: tuple[str, ...],
    label: str | None, folder: Path,
) -> Mapping[str, Json]:  # fmt: skip
    """Write the records' features as ``.npy`` files (in the worker); facts for the store."""
    writer = Writer(folder, source)
    resized, decoded = 0, {}
    for number, features in enumerate(_features(path)):
        where = f"{source}: record {number}"
        item, had = _item(where, features, spec, columns, label)
        for name, size in had.items():
            resized += size != item[name].shape[:2]
            decoded = {"pictures": images.decoded(item[name], spec)}
        writer.add(item)
    beside = [name for name in (NAMES, *columns) if name in writer.names]
    facts = dict(describe(source, writer.close()))
    notices: list[Json] = []
    if defaulted and resized:
        notices.append(images.fitting(source, resized, writer.count, spec))
    return {**facts, "beside": list(beside), "notices": notices, **decoded}


def _features(path: Path) -> Iterator[Mapping[str, Any]]:
    """Each record's features. Raises :class:`DataError` with the number of a damaged record."""
    import tensorflow as tf

    with path.open("rb") as file:
        packed = "GZIP" if file.read(2) == GZIP else ""
    number = 0
    try:
        for record in tf.data.TFRecordDataset(str(path), packed).as_numpy_iterator():
            yield tf.train.Example.FromString(record).features.feature
            number += 1
    except (tf.errors.OpError, ValueError) as error:
        hint = f"truncated, damaged, or no tf.train.Example: {str(error)[:200]}"
        raise DataError("EK-DATA-003", f"{path}: record {number} cannot be read", hint) from error
    # What protobuf raises is no child of ValueError in all of its implementations.
    except Exception as error:
        if type(error).__name__ != "DecodeError":
            raise
        hint = "the records must be serialized tf.train.Example messages"
        message = f"{path}: record {number} is no tf.train.Example"
        raise DataError("EK-DATA-003", message, hint) from error


def _item(
    where: str, features: Mapping[str, Any], spec: Preprocess, columns: tuple[str, ...],
    label: str | None,
) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:  # fmt: skip
    """One record's arrays by name, and the sizes that its pictures had."""
    labelled = label or next((name for name in LABEL_FEATURES if name in features), None)
    if label is not None and label not in features:
        hint = f"it has {', '.join(sorted(features))[:300]}"
        raise DataError("EK-DATA-016", f"{where} has no feature {label!r} for labels", hint)
    if labelled != LABELS and LABELS in features:
        message = f"{where} has {LABELS!r} besides its labels {labelled!r}"
        raise DataError("EK-DATA-016", message, f"give the input {LABELS!r} another name")
    item: dict[str, Any] = {}
    had: dict[str, tuple[int, int]] = {}
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
            called = INPUT
            value, had[INPUT] = _picture(where, name, feature, spec)
        else:
            value = _values(where, name, feature, kind)
        if called in item:
            message = f"{where} has several features that are {called!r}, one of them {name!r}"
            raise DataError(
                "EK-DATA-010", message, "records of one picture, or of arrays, are read"
            )
        item[called] = value
    return item, had


def _picture(where: str, name: str, feature: Any, spec: Preprocess) -> tuple[Any, tuple[int, int]]:
    content = feature.bytes_list.value[0] if len(feature.bytes_list.value) else b""
    if not content.startswith(images.STARTS):
        message = f"{where}: {name!r} is bytes, and no encoded picture"
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
    """A list of numbers as int64 or float32; one number without a dimension."""
    if kind is None:
        raise DataError("EK-DATA-003", f"{where}: feature {name!r} is empty")
    dtype = np.int64 if kind == "int64_list" else np.float32
    values = np.array(getattr(feature, kind).value, dtype)
    return values[0] if len(values) == 1 else values
