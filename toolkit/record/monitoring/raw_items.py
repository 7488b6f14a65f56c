"""Raw items that apps kept where they were told to, read as those of another hand."""

from __future__ import annotations

import base64
import binascii
import bisect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import RecordError
from edgekit.record.monitoring.golden import Golden
from edgekit.store import write_text
from edgekit.targets.runners import recorder
from edgekit.targets.runners.raw_items import KIND
from edgekit.targets.runners.raw_items import SCHEMA_VERSION as VERSION

NONE, TAKEN = "EK-RECORD-024", "EK-RECORD-025"
DTYPES = frozenset(
    (
        *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)),
        *("bool", "float16", "float32", "float64"),
    )
)
# Of the items that are written, and of their bytes.
MOST_ITEMS = 100
MOST_BYTES = 512 << 20
MOST_VALUES = 1 << 28
INDEX, ANSWERS = "items.json", "answers"


@dataclass(frozen=True)
class RawItem:
    """An item that an app kept, and why it is worth a look.

    ``distance`` is the largest of its features from the middle of the golden items', in halves of
    their range: above 1 it lies outside. ``sure`` is the confidence, NaN without classes.
    """

    device: str
    number: int
    inputs: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[str, npt.NDArray[Any]]
    feature: str
    distance: float
    best: int
    sure: float

    @property
    def size(self) -> int:
        """Bytes that its values take."""
        return sum(one.nbytes for side in (self.inputs, self.outputs) for one in side.values())


@dataclass
class RawSample:
    """The raw items of records: how many there are, of how many, and those that stand out.

    ``most`` is how many are held of each kind; without it they are only counted.
    """

    most: int = 0
    kept: int = 0
    seen: int = 0
    outlying: list[tuple[float, int, RawItem]] = field(default_factory=list)
    unsure: list[tuple[float, int, RawItem]] = field(default_factory=list)

    def add(self, item: RawItem) -> None:
        """Count an item, and hold it where it stands out among those that there were."""
        self.kept += 1
        if not self.most:
            return
        _hold(self.outlying, -item.distance, self.kept, item, self.most)
        if np.isfinite(item.sure):
            _hold(self.unsure, item.sure, self.kept, item, self.most)

    def chosen(self) -> list[RawItem]:
        """Return the items that stand out: the most outlying and the least confident in turns."""
        picked: dict[int, RawItem] = {}
        longest = max(len(self.outlying), len(self.unsure))
        for k in range(longest):
            for order in (self.outlying, self.unsure):
                if k < len(order) and len(picked) < self.most:
                    picked.setdefault(order[k][1], order[k][2])
        return list(picked.values())


def _hold(
    order: list[tuple[float, int, RawItem]], key: float, count: int, item: RawItem, most: int
) -> None:
    bisect.insort(order, (key, count, item), key=lambda one: one[:2])
    while len(order) > most or (len(order) > 1 and sum(o[2].size for o in order) > MOST_BYTES):
        order.pop()


@dataclass
class RawFile:
    """What the first line of a file of raw items said, while its items are read."""

    device: str
    left: int


def is_raw(line: Any) -> bool:
    """Tell whether a line of records is of raw items: what begins them, or one of them."""
    return isinstance(line, dict) and (line.get("kind") == KIND or "item" in line)


def read_head(line: Mapping[str, Any]) -> tuple[RawFile, int]:
    """Return what a file's first line says, and of how many items it is a sample.

    Raises ValueError, which says what is wrong with it.
    """
    if line["schema_version"] != VERSION:
        raise ValueError(f"schema_version {str(line['schema_version'])[:20]} is not known")
    device = line["device"]
    if not isinstance(device, str) or len(device) > 200 or not device.isprintable():
        raise ValueError("device is no printable text of at most 200 characters")
    seen, kept = _whole(line["seen"]), _whole(line["kept"])
    if kept > seen:
        raise ValueError(f"{kept} items are kept of {seen}")
    return RawFile(device, kept), seen


def read_item(line: Mapping[str, Any], file: RawFile | None, golden: Golden) -> RawItem:
    """Return an item of a file. Raises ValueError, which says what is wrong with it."""
    if file is None or not file.left:
        raise ValueError("it is a raw item of which no first line told")
    number = _whole(line["item"])
    sides = {side: _arrays(line[side], side, golden) for side in ("input", "output")}
    file.left -= 1
    feature, distance = _farthest(sides, golden)
    best, sure = -1, float("nan")
    spec = golden.document["classes"]
    if spec is not None and spec["output"] in sides["output"]:
        scores = sides["output"][spec["output"]]
        if scores.size == len(spec["counts"]) or spec["threshold"] is not None:
            found, share = recorder.classes(spec, scores[None])
            best, sure = int(found[0]), float(share[0])
    return RawItem(
        file.device, number, sides["input"], sides["output"], feature, distance, best, sure
    )


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise ValueError(f"{str(value)[:30]} is not a count")
    return value


def _arrays(told: Any, side: str, golden: Golden) -> dict[str, npt.NDArray[Any]]:
    if not isinstance(told, dict):
        raise ValueError(f"{side} is not a table")
    known = {one["name"] for one in golden.document["tensors"] if one["side"] == side}
    for name in told:
        if name not in known:
            raise ValueError(f"the bundle has no {side} {name[:60]!r}")
    return {name: _array(name, one) for name, one in told.items()}


def _array(name: str, told: Any) -> npt.NDArray[Any]:
    """Return the values of a tensor; nothing is allocated by what a header claims."""
    dtype, shape = told["dtype"], told["shape"]
    if dtype not in DTYPES:
        raise ValueError(f"{name[:60]} is of {str(dtype)[:20]!r}, and no numbers")
    if not isinstance(shape, list) or len(shape) > 32:
        raise ValueError(f"{name[:60]} has no shape")
    count = 1
    for size in shape:
        count *= _whole(size)
        if count > MOST_VALUES:
            raise ValueError(f"{name[:60]} is larger than any item")
    try:
        content = base64.b64decode(told["b64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"{name[:60]}: its b64 is not base64") from error
    if len(content) != count * np.dtype(dtype).itemsize:
        raise ValueError(f"{name[:60]}: its values are not as many as its shape says")
    return np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).reshape(shape)


def _farthest(
    sides: Mapping[str, Mapping[str, npt.NDArray[Any]]], golden: Golden
) -> tuple[str, float]:
    """Return the feature that lies farthest from the middle of the golden items', and how far."""
    ranges = {one["name"]: (one["min"], one["max"]) for one in golden.document["features"]}
    farthest = ("", 0.0)
    for tensor in golden.document["tensors"]:
        values = sides[tensor["side"]].get(tensor["name"])
        if values is None:
            continue
        row = recorder.features(tensor, values[None])[0]
        for name, value in zip(tensor["features"], row, strict=False):
            low, high = ranges[name]
            if low is not None:
                farthest = max(
                    farthest, (name, _distance(value, low, high)), key=lambda one: one[1]
                )
    return farthest


def _distance(value: float, low: float, high: float) -> float:
    if not np.isfinite(value):
        return float("inf")
    half = max((high - low) / 2, 1e-9 * max(abs(low), abs(high)), 1e-30)
    return float(abs(value - (low + high) / 2) / half)


def check_folder(folder: Path) -> None:
    """Raise :class:`RecordError` where a folder is taken: nothing is written over."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"{folder} is there already, and raw items would be mixed with what is in it"
        raise RecordError(TAKEN, message, "name a folder that is new or empty: --items DIR")


def write_items(sample: RawSample, golden: Golden, folder: Path) -> int:
    """Write the items that stand out: inputs as ``NAME.npy``, as a folder of data has them; below
    ``answers/`` what was answered, and in ``items.json`` what each is. Return how many there are.

    Items of another shape than most are left out. Raises :class:`RecordError` where there is none.
    """
    chosen = sample.chosen()
    if not chosen:
        message = "there are no raw items in these records"
        hint = (
            "an app keeps a sample of them only where it is told to: --raw-items N of app.py and"
            " edgekit serve, RawItems in Kotlin and in the page; then name items.jsonl too"
        )
        raise RecordError(NONE, message, hint)
    check_folder(folder)
    kept = _of_one_shape(chosen)
    (folder / ANSWERS).mkdir(parents=True, exist_ok=True)
    for side, below in (("inputs", folder), ("outputs", folder / ANSWERS)):
        for name in getattr(kept[0], side):
            values = np.stack([getattr(item, side)[name] for item in kept])
            np.save(below / f"{name.replace('/', '_')}.npy", values)
    labels = golden.classes.labels if golden.classes else ()
    told = [_told(item, labels) for item in kept]
    write_text(folder / INDEX, json.dumps(told, indent=2) + "\n")
    return len(kept)


def _of_one_shape(chosen: list[RawItem]) -> list[RawItem]:
    """Return the items that can be in one array: those that are as most are."""

    def form(item: RawItem) -> tuple[Any, ...]:
        sides = (item.inputs, item.outputs)
        return tuple(tuple((n, v.shape, v.dtype.str) for n, v in side.items()) for side in sides)

    forms = [form(item) for item in chosen]
    most = max(forms, key=forms.count)
    return [item for item, own in zip(chosen, forms, strict=True) if own == most]


def _told(item: RawItem, labels: tuple[str, ...]) -> dict[str, Any]:
    finite = {"distance": item.distance, "confidence": item.sure}
    named = labels[item.best] if 0 <= item.best < len(labels) else str(item.best)
    return {
        "device": item.device,
        "item": item.number,
        "feature": item.feature,
        "class": named if item.best >= 0 else None,
        **{name: value if np.isfinite(value) else None for name, value in finite.items()},
    }
