"""Read untrusted ``.npy`` files: what is not an array of numbers or texts is a ValueError."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# Numpy's reader, which has no types. Not np.load, which also takes archives and pickles.
FORMAT: Any = np.lib.format


def opened(path: Path) -> Array:
    """Return the array in a file, memory-mapped. Raises ValueError where it is damaged or of
    objects.
    """
    try:
        array: Array = FORMAT.open_memmap(path, mode="r")
    # The header is text of another hand: numpy raises whatever Python's own parser does.
    except Exception as error:
        raise ValueError(f"{error}") from error
    return array


def parsed(content: bytes) -> Array:
    """Return the array in the bytes of a file. Raises ValueError where they are damaged or of
    objects.
    """
    try:
        array: Array = FORMAT.read_array(io.BytesIO(content), allow_pickle=False)
    except Exception as error:
        raise ValueError(f"{error}") from error
    return array
