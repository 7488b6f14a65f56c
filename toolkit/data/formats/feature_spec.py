"""Features of a record read as ``[data.features]`` says: raw bytes, lists, pictures, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import images
from edgekit.errors import DataError
from edgekit.types import Feature, Preprocess

IMAGE = "image"
CODE = "EK-DATA-086"


def stated_arrays(
    where: str,
    features: Mapping[str, Any],
    stated: Mapping[str, Feature],
    spec: Preprocess,
    called: Mapping[str, str],
) -> tuple[dict[str, Any], list[images.Picture]]:
    """Return a record's stated features by what their arrays are called, and its pictures.

    ``called`` are the names of the labels and of columns, which a feature keeps. Raises
    :class:`DataError` with the place of a feature that is missing or holds something else.
    """
    arrays: dict[str, Any] = {}
    pictures: list[images.Picture] = []
    for name, feature in stated.items():
        kind = features[name].WhichOneof("kind") if name in features else None
        key = feature.name or called.get(name, name)
        if kind is None and feature.default is None:
            message = f"{where} has no feature {name!r}"
            hint = f"it has {', '.join(sorted(features))[:300]}; [data.features] default fills in"
            raise DataError(CODE, message, hint)
        if kind is None:
            arrays[key] = np.full(feature.shape, feature.default, feature.dtype)
        elif feature.dtype == IMAGE:
            pictures.append(_picture(where, name, features[name], spec))
            arrays[key] = pictures[-1].array
        else:
            arrays[key] = _numbers(where, name, features[name], kind, feature)
    return arrays, pictures


def _picture(where: str, name: str, value: Any, spec: Preprocess) -> images.Picture:
    content = value.bytes_list.value[0] if len(value.bytes_list.value) else b""
    if not content.startswith(images.STARTS):
        message = f"{where}: {name!r} is not an encoded picture"
        raise DataError(CODE, message, "its dtype is that of raw bytes, such as uint8")
    return images.read(content, f"{where}, {name!r}", spec)


def _numbers(where: str, name: str, value: Any, kind: str, feature: Feature) -> npt.NDArray[Any]:
    """Return numbers in the stated shape and dtype."""
    dtype = np.dtype(feature.dtype)
    if kind == "bytes_list":
        content = b"".join(value.bytes_list.value)
        if len(content) % dtype.itemsize:
            message = f"{where}: {name!r} has {len(content):,} bytes, which are not whole {dtype}"
            raise DataError(CODE, message, "[data.features] says which dtype its bytes are of")
        flat = np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype)
    else:
        flat = np.asarray(getattr(value, kind).value)
        if dtype.kind in "iu" and not _fits(flat, dtype):
            message = f"{where}: {name!r} holds values that {dtype} does not"
            raise DataError(CODE, message, "[data.features] names a wider dtype, or a float")
        flat = flat.astype(dtype)
    if flat.size != np.prod(feature.shape, dtype=int):
        message = f"{where}: {name!r} has {flat.size:,} values, not {list(feature.shape)}"
        raise DataError(CODE, message, "[data.features] says which shape it has")
    return flat.reshape(feature.shape)


def _fits(flat: npt.NDArray[Any], dtype: np.dtype[Any]) -> bool:
    if not flat.size:
        return True
    info = np.iinfo(dtype)
    whole = flat.dtype.kind == "i" or bool((flat == np.floor(flat)).all())
    return whole and info.min <= flat.min() and bool(flat.max() <= info.max)
