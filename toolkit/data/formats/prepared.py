"""A dataset of tensorflow-datasets that was prepared on this machine: ``tfds:NAME@SPLIT``."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.blocks import Writer
from edgekit.data.dataset import LABELS, Dataset, describe
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.types import Json

INPUT = "x"
LABEL_FEATURES = (LABELS, "label")
SOURCE = re.compile(r"^tfds:(?P<name>[\w./:+-]+?)(?:@(?P<split>.+))?$")
CODE = "EK-DATA-087"


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the items of a split, ``train`` where none is named, read by tensorflow-datasets.

    A supervised dataset gives ``x`` and ``y``; of another the features are arrays by name, and the
    labels are ``y``, ``label`` or the one named. Class names are the dataset's own. Nothing is
    downloaded: raises :class:`DataError` where it was not prepared before, or tensorflow-datasets
    is not installed.
    """
    if importlib.util.find_spec("tensorflow_datasets") is None:
        message = f"{reading.source} is unavailable, because tensorflow-datasets is not installed"
        raise DataError(CODE, message, "install it: pip install 'edgekit[datasets]'")
    key: dict[str, Json] = {
        "dataset": reading.worker.call(identity, reading.source),
        "source": reading.source,
        "label": reading.label,
        "beside": list(reading.columns),
    }
    return reading.obtain(
        key,
        lambda folder: reading.worker.call(
            materialize, reading.source, reading.label, reading.columns, folder
        ),
    )


def identity(source: str) -> Mapping[str, Json]:
    """Identify the prepared files (in the worker): name, version and a digest of their facts."""
    builder, split = _opened(source)
    facts = json.dumps(builder.info.as_json, sort_keys=True)
    digest = hashlib.sha256(facts.encode()).hexdigest()
    return {"name": builder.info.full_name, "split": split, "facts": digest}


def materialize(
    source: str, label: str | None, columns: tuple[str, ...], folder: Path
) -> Mapping[str, Json]:
    """Write the items of a split to ``folder`` (in the worker); facts for the store."""
    builder, split = _opened(source)
    supervised = builder.info.supervised_keys is not None and label is None and not columns
    features = builder.info.features
    labelled = builder.info.supervised_keys[1] if supervised else label
    labelled = labelled or next((n for n in LABEL_FEATURES if n in features), None)
    try:
        items = builder.as_dataset(split=split, as_supervised=supervised, shuffle_files=False)
    except (ValueError, KeyError) as error:
        known = ", ".join(builder.info.splits)
        raise DataError(CODE, f"{source} has no such split: {error}", f"it has {known}") from error
    writer = Writer(folder, source)
    for element in items.as_numpy_iterator():
        item = dict(zip((INPUT, LABELS), element, strict=True)) if supervised else dict(element)
        if not supervised:
            item = _named(item, labelled, columns)
        writer.add({name: _plain(value) for name, value in item.items()})
    facts = dict(describe(source, writer.close()))
    feature = dict(features.items()).get(labelled)
    names = list(getattr(feature, "names", None) or [])
    beside = [name for name in columns if name in writer.names]
    return {**facts, "beside": beside, "class_names": names}


def _named(
    item: Mapping[str, Any], labelled: str | None, columns: tuple[str, ...]
) -> dict[str, Any]:
    """Call the labels ``y``, and what is then the only input ``x``."""
    inputs = [name for name in item if name != labelled and name not in columns]
    called = {inputs[0]: INPUT} if len(inputs) == 1 else {}
    if labelled is not None:
        called[labelled] = LABELS
    return {called.get(name, name): value for name, value in item.items()}


def _opened(source: str) -> tuple[Any, str]:
    """Return the builder of what was prepared, and the split."""
    import tensorflow_datasets as tfds

    match = SOURCE.match(source)
    if match is None:
        raise DataError(CODE, f"{source} names no dataset", "write tfds:NAME, or tfds:NAME@SPLIT")
    name, split = match["name"], match["split"] or "train"
    try:
        builder = tfds.builder(name, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        message = f"{source}: there is no dataset {name!r}: {str(error).splitlines()[0]}"
        raise DataError(CODE, message, "`tfds build` prepares one of your own") from error
    if not Path(builder.data_path).is_dir():
        message = f"{source} was not prepared: there is no {builder.data_path}"
        hint = f"edgekit downloads no data: run `tfds build {name}`, or set TFDS_DATA_DIR"
        raise DataError(CODE, message, hint)
    return builder, split


def _plain(value: Any) -> Any:
    """Convert TensorFlow's strings, which numpy has as bytes, to text."""
    return np.str_(value.decode("utf-8", "replace")) if isinstance(value, bytes) else value
