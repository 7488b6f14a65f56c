"""Arrays as pixels: in which range their values are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError

Array = npt.NDArray[Any]
# Images of whose values none is above are not of 0..255; and how many of them are looked at.
DARK = 128
LOOKED_AT = 1000


def largest(images: Array) -> float | None:
    """Return the largest value of images ``[n, ...]`` that begin at 0 and end well below 255 and
    above 1, such as 0..16: in 0..255 they would be drawn nearly black.
    """
    if images.dtype.kind not in "iuf" or not len(images):
        return None
    looked = np.asarray(images[:: max(1, len(images) // LOOKED_AT)])
    low, high = float(np.nanmin(looked)), float(np.nanmax(looked))
    return high if low >= 0 and 1 < high < DARK else None


def pixels(image: Array, most: float | None = None) -> npt.NDArray[np.uint8]:
    """Return an image as uint8 ``[h, w]`` or ``[h, w, 3]``. Raises :class:`DataError` for no
    image.
    """
    array = np.asarray(image)
    shaped = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    colour = shaped.ndim == 3 and shaped.shape[2] == 3
    if not (shaped.ndim == 2 or colour) or shaped.dtype.kind not in "iubf" or shaped.size == 0:
        message = f"an array of {array.dtype} {list(array.shape)} cannot be drawn"
        raise DataError("EK-DATA-044", message, "images are [h, w], [h, w, 1] or [h, w, 3]")
    if shaped.dtype == np.uint8 and most is None:
        return np.ascontiguousarray(shaped)
    values = shaped.astype(np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low >= 0 and high <= 255:
        own = 255.0 if high > 1 else 1.0
        low, high = 0.0, most if most is not None and high <= most else own
    scaled = (values - low) / (high - low if high > low else 1.0) * 255
    return np.ascontiguousarray(np.rint(np.nan_to_num(scaled)).astype(np.uint8))
