"""Colours, size and layout of a picture: to the bit what Pillow's ``resize`` gives, without Pillow.

Every pixel of the result is a weighted sum of the source's pixels that the filter covers. The
filter widens with the reduction, so pictures are antialiased. Weights are whole numbers of 2^-22,
and each of the two passes, horizontal then vertical, rounds to 8 bits. Needs numpy alone; works on
Python 3.9 and later.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

WEIGHT_BITS = 22


def _area(x: float) -> float:
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def _bilinear(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _sinc(x: float) -> float:
    return 1.0 if x == 0.0 else math.sin(x * math.pi) / (x * math.pi)


def _hamming(x: float) -> float:
    return _sinc(x) * (0.54 + 0.46 * math.cos(x * math.pi)) if abs(x) < 1.0 else 0.0


def _bicubic(x: float) -> float:
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * -0.5 if x < 2.0 else 0.0


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3) if -3.0 <= x < 3.0 else 0.0


# Each filter, and how many pixels it covers to either side.
FILTERS: Dict[str, Tuple[Callable[[float], float], float]] = {
    "area": (_area, 0.5),
    "bilinear": (_bilinear, 1.0),
    "hamming": (_hamming, 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}


def weights(method: str, source: int, size: int, at: int) -> Tuple[int, List[int]]:
    """Return the first source pixel of pixel ``at``, and the weights from there on."""
    function, support = FILTERS[method]
    scale = source / size
    factor = max(1.0, scale)
    center, inverse = (at + 0.5) * scale, 1.0 / factor
    first = max(0, int(center - support * factor + 0.5))
    last = min(source, int(center + support * factor + 0.5))
    values = [function((k - center + 0.5) * inverse) for k in range(first, last)]
    # One after the other: Python 3.12's sum() rounds otherwise.
    total = 0.0
    for value in values:
        total += value
    shares = [value / total if total else value for value in values]
    unit = 1 << WEIGHT_BITS
    return first, [int(s * unit - 0.5) if s < 0 else int(s * unit + 0.5) for s in shares]


def _nearest(source: int, size: int) -> List[int]:
    # The step is added, not multiplied: so Pillow does, and rounding differs.
    places, position, step = [], source / size * 0.5, source / size
    for _ in range(size):
        places.append(int(position))
        position += step
    return places


def resample(pixels: Any, axis: int, method: str, size: int, start: int, count: int) -> Any:
    """Return pixels ``start`` to ``start + count`` of an axis resampled to ``size``."""
    source = pixels.shape[axis]
    if source == size:
        return np.take(pixels, range(start, start + count), axis=axis)
    if method == "nearest":
        return np.take(pixels, _nearest(source, size)[start : start + count], axis=axis)
    moved = np.moveaxis(pixels, axis, 0).astype(np.int64)
    result = np.empty((count, *moved.shape[1:]), np.uint8)
    for at in range(count):
        first, taps = weights(method, source, size, start + at)
        total = np.tensordot(np.array(taps), moved[first : first + len(taps)], axes=1)
        result[at] = np.clip((total + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS, 0, 255)
    return np.moveaxis(result, 0, axis)


def window(source: int, size: int, factor: float) -> Tuple[int, int]:
    """Return to how many pixels a side is scaled, and where the cut begins."""
    scaled = max(size, round(source * factor))
    return scaled, (scaled - size) // 2


def colored(pixels: Any, color: str) -> Any:
    """Return a picture uint8 ``[height, width, 1, 3 or 4]`` in one channel, or in three as RGB."""
    pixels = pixels[..., :3]
    if color != "grayscale":
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    if pixels.shape[2] == 1:
        return pixels
    red, green, blue = (pixels[..., k].astype(np.int64) for k in range(3))
    gray = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return gray.astype(np.uint8)[..., None]


def fit(pixels: Any, picture: Dict[str, Any]) -> Any:
    """Return a picture uint8 ``[height, width, channels]`` as the model takes it.

    Of 4 channels the alpha is dropped. ``picture`` has ``height``, ``width``, ``color``,
    ``method``, ``crop`` and ``layout``. Colours come first, then the size.
    """
    pixels = colored(pixels, picture["color"])
    height, width = pixels.shape[:2]
    rows, columns = (picture["height"], 0), (picture["width"], 0)
    if picture["crop"]:
        factor = max(picture["height"] / height, picture["width"] / width)
        rows = window(height, picture["height"], factor)
        columns = window(width, picture["width"], factor)
    method = picture["method"]
    pixels = resample(pixels, 1, method, columns[0], columns[1], picture["width"])
    pixels = resample(pixels, 0, method, rows[0], rows[1], picture["height"])
    if picture["color"] == "bgr":
        pixels = pixels[..., ::-1]
    return pixels.transpose(2, 0, 1) if picture["layout"] == "nchw" else pixels
