"""What a run's items look like: those that calibrate, and those that are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import Dataset, preprocessing
from edgekit.data.pixels import largest
from edgekit.data.thumbnails import is_picture, thumbnail
from edgekit.decoding import decode
from edgekit.evaluation import metrics
from edgekit.pipeline.details.parts import Parts, Pictures
from edgekit.pipeline.details.values import described, looked_at
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.types import Json, SavedModel, TensorSpec
from edgekit.types.details import DataDetails, InputDetails

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]
# Pictures by key, and what else there is of an input.
Drawn = tuple[Mapping[str, str], InputDetails]
CALIBRATING, JUDGED, TRAINED = "representative", "evaluated", "trained"
# Pictures on a contact sheet: of what calibrates all matter, what is judged has the worst besides.
SHOWN = {CALIBRATING: 32, JUDGED: 16, TRAINED: 32}
MOST_CLASSES = 100
NONE: Mapping[str, int] = {}


def representative(run: Run, items: Items, parts: Parts, pictures: Pictures) -> DataDetails | None:
    """Describe the items that calibrate, as they were preprocessed."""
    index = items.representative_index
    if not items.representative or index is None:
        parts.absent[CALIBRATING] = "nothing is calibrated"
        return None
    inputs: dict[str, InputDetails] = {}
    for name, path in items.representative.items():
        key: dict[str, Json] = {"digest": items.representative_digest, "input": name}
        make = partial(_kept, run, key, partial(_calibrating, items, index, name, path))
        _add(inputs, f"{CALIBRATING}.{name}", parts, pictures, make)
    classes = parts.make(f"{CALIBRATING}.classes", lambda: _calibrating_classes(items), NONE)
    return DataDetails(items.representative_count, inputs, classes)


def evaluated(
    run: Run, reference: SavedModel, items: Items, parts: Parts, pictures: Pictures
) -> DataDetails | None:
    """Describe the items that are judged, as the reference is fed them."""
    if not items.inputs:
        parts.absent[JUDGED] = "nothing is evaluated"
        return None
    specs = {spec.name: spec for spec in reference.all_inputs}
    inputs: dict[str, InputDetails] = {}
    for name, path in items.inputs.items():
        if (spec := specs.get(name)) is None:
            continue
        fed: list[Json] = [list(spec.shape), spec.dtype]
        key: dict[str, Json] = {**items.key, "input": name, "spec": fed}
        make = partial(_kept, run, key, partial(_judged, items, spec, path))
        _add(inputs, f"{JUDGED}.{name}", parts, pictures, make)
    classes = parts.make(f"{JUDGED}.classes", lambda: _classes(items, items.labels), NONE)
    return DataDetails(len(items.index), inputs, classes)


def trained(
    run: Run, reference: SavedModel, items: Items, parts: Parts, pictures: Pictures
) -> DataDetails | None:
    """Describe the items that the run has trained its model on, as the reference is fed them."""
    dataset = run.trained_on
    if dataset is None:
        return None
    specs = {spec.name: spec for spec in reference.all_inputs}
    if len(specs) == len(dataset.arrays) == 1:
        specs = dict(zip(dataset.arrays, specs.values(), strict=True))
    inputs: dict[str, InputDetails] = {}
    for name, path in dataset.arrays.items():
        if (spec := specs.get(name)) is None:
            continue
        fed: list[Json] = [list(spec.shape), spec.dtype]
        key: dict[str, Json] = {"digest": dataset.digest, "input": name, "spec": fed}
        key["preprocess"] = items.preprocess.arithmetic
        make = partial(_kept, run, key, partial(_learned, items, spec, path))
        _add(inputs, f"{TRAINED}.{spec.name}", parts, pictures, make)
    known = dataset.labels
    classes = parts.make(
        f"{TRAINED}.classes",
        lambda: _classes(items, None if known is None else np.load(known)),
        NONE,
    )
    return DataDetails(_count(dataset), inputs, classes)


def _count(dataset: Dataset) -> int:
    return len(np.load(next(iter(dataset.arrays.values())), mmap_mode="r"))


def _calibrating(items: Items, index: Index, name: str, path: Path) -> Drawn:
    """Describe an input of the items that calibrate; drawn raw, where it is known which these
    are.
    """
    fed, raw = np.load(path, mmap_mode="r"), _raw(items, name)
    drawn = _sheet(CALIBRATING, fed if raw is None else raw, index, raw is None)
    some = np.asarray(fed[looked_at(len(fed), fed.shape[1:])])
    return drawn, described(some, bool(drawn))


def _judged(items: Items, spec: TensorSpec, path: Path) -> Drawn:
    raw = np.load(path, mmap_mode="r")
    chosen = items.index[looked_at(len(items.index), raw.shape[1:])]
    drawn = _sheet(JUDGED, raw, items.index, False)
    return drawn, described(preprocessing.apply(raw[chosen], spec, items.preprocess), bool(drawn))


def _learned(items: Items, spec: TensorSpec, path: Path) -> Drawn:
    raw = np.load(path, mmap_mode="r")
    chosen = looked_at(len(raw), raw.shape[1:])
    drawn = _sheet(TRAINED, raw, np.arange(len(raw)), False)
    return drawn, described(preprocessing.apply(raw[chosen], spec, items.preprocess), bool(drawn))


def _add(
    inputs: dict[str, InputDetails],
    part: str,
    parts: Parts,
    pictures: Pictures,
    make: Callable[[], Drawn],
) -> None:
    """Add an input that can be described, with its pictures as far as there is room."""
    one = parts.make(part, make, None)
    if one is not None:
        drawn, details = one
        inputs[part.partition(".")[2]] = replace(details, pictures=tuple(pictures.add(drawn)))


def _kept(run: Run, key: dict[str, Json], describe: Callable[[], Drawn]) -> Drawn:
    """Find a description in the store, or make it."""

    def make(_: Path) -> Mapping[str, Json]:
        drawn, details = describe()
        return {"pictures": dict(drawn), "details": asdict(details)}

    facts = run.store.obtain("data details", run.key(**key), make).facts
    return facts["pictures"], decode(facts["details"], InputDetails)


def _raw(items: Items, name: str) -> Array | None:
    """Open the raw items behind an input that calibrates; None where it is not known which."""
    source = items.representative_source
    if source is None:
        return None
    if source.digest == items.digest and name in items.inputs:
        return np.load(items.inputs[name], mmap_mode="r")  # type: ignore[no-any-return]
    if name in source.arrays:
        return source.open(name)
    single = len(source.arrays) == len(items.representative) == 1
    return source.open(next(iter(source.arrays))) if single else None


def _sheet(prefix: str, raw: Array, index: Index, in_order: bool) -> Mapping[str, str]:
    """Draw items for a contact sheet, by keys; none where they are not pictures.

    ``in_order`` says that ``raw`` holds the items of the index alone.
    """
    if not is_picture(raw.shape[1:]) or not len(index):
        return {}
    places = np.unique(np.linspace(0, len(index) - 1, min(len(index), SHOWN[prefix]), dtype=int))
    return _drawn(prefix, raw, index[places], places if in_order else index[places])


def _drawn(prefix: str, raw: Array, numbers: Index, places: Index) -> Mapping[str, str]:
    images = np.asarray(raw[places])
    most = largest(images)
    return {
        f"{prefix}-{number}": thumbnail(image, most)
        for number, image in zip(numbers, images, strict=True)
    }


def item_pictures(run: Run, items: Items, numbers: Index) -> Mapping[str, str]:
    """Draw judged items by their numbers in the data, by key; nothing where they are not pictures
    or stand for groups.
    """
    arrays = {name: np.load(path, mmap_mode="r") for name, path in items.inputs.items()}
    name = next((name for name, raw in arrays.items() if is_picture(raw.shape[1:])), None)
    if name is None or items.groups is not None or not len(numbers):
        return {}
    raw = arrays[name]

    def make(_: Path) -> Mapping[str, Json]:
        return {"pictures": _drawn(JUDGED, raw, numbers, numbers)}

    key = run.key(data=items.digest, input=name, items=[int(number) for number in numbers])
    return dict(run.store.obtain("item pictures", key, make).facts["pictures"])


def _calibrating_classes(items: Items) -> Mapping[str, int]:
    source, index = items.representative_source, items.representative_index
    if source is None or index is None or source.labels is None:
        raise ValueError("the items have no labels")
    return _classes(items, np.load(source.labels)[index])


def _classes(items: Items, labels: Array | None) -> Mapping[str, int]:
    """Count items by class. Raises ValueError where labels are too many, or not classes."""
    if items.metric.reads != "classes":
        raise ValueError("labels are not classes")
    if labels is None:
        raise ValueError("the items have no labels")
    numbers, counts = np.unique(metrics.true_class(labels), return_counts=True)
    if len(numbers) > MOST_CLASSES:
        raise ValueError(f"{len(numbers)} classes are more than the {MOST_CLASSES} that are shown")
    names = items.class_names
    return {
        names[number] if 0 <= number < len(names) else str(number): int(count)
        for number, count in zip(numbers, counts, strict=True)
    }
