"""Pictures as arrays: decoded, resized and cropped by Pillow, as the preprocess spec says.

Pillow's filters widen with the reduction (they antialias), as ``tf.image.resize`` does only with
``antialias=True`` and OpenCV only with ``INTER_AREA``. The orientation noted by a camera is not
applied, as TensorFlow's decoders do not either; of an animation the first frame counts.
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError
from edgekit.types import Json, Preprocess, TensorSpec

Array = npt.NDArray[Any]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
# The spec's word for each of Pillow's filters. Source: Pillow handbook, "Concepts", "Filters".
FILTERS = {
    "nearest": "NEAREST", "area": "BOX", "bilinear": "BILINEAR", "hamming": "HAMMING",
    "bicubic": "BICUBIC", "lanczos": "LANCZOS",
}  # fmt: skip
MODES = {"rgb": "RGB", "grayscale": "L"}
CHANNELS = {1: "grayscale", 3: "rgb"}
STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF")


def is_image(name: str) -> bool:
    """Whether a file is called like a picture."""
    return name.lower().endswith(SUFFIXES)


def resolved(preprocess: Preprocess, inputs: tuple[TensorSpec, ...]) -> Preprocess:
    """The spec with its size and colours from the model's only image input, where it has none."""
    pictures = [spec.shape for spec in inputs if len(spec.shape) == 4]
    if len(pictures) == 1:
        _, height, width, channels = pictures[0]
        if preprocess.resize is None and height and width:
            preprocess = replace(preprocess, resize=(height, width))
        if preprocess.color is None and channels in CHANNELS:
            preprocess = replace(preprocess, color=CHANNELS[channels])
    return preprocess if preprocess.color else replace(preprocess, color="rgb")


def read(content: Path | bytes, name: str, preprocess: Preprocess) -> tuple[Array, tuple[int, int]]:
    """A picture as uint8 ``[height, width, channels]``, and the height and width it had.

    Raises :class:`DataError` that names the picture where it is damaged or has 16-bit channels.
    """
    from PIL import Image

    file = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        with Image.open(file) as opened:
            opened.load()
            if opened.mode.startswith(("I", "F")):
                message = f"{name} has more than 8 bits per channel (mode {opened.mode})"
                hint = "save it with 8 bits, or give the values as an array: .npz"
                raise DataError("EK-DATA-009", message, hint)
            had = (opened.height, opened.width)
            array = np.asarray(_fitted(opened, preprocess))
    # Pillow lets its decoders' own errors through.
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        hint = f"truncated, damaged, or no picture: {error}"
        raise DataError("EK-DATA-003", f"{name} cannot be read as a picture", hint) from error
    return (array[..., None] if array.ndim == 2 else array), had


def decoded(picture: Array, preprocess: Preprocess) -> dict[str, Json]:
    """How pictures were decoded, as the store keeps it: all of them are of the size of one."""
    return {
        "resize": [picture.shape[0], picture.shape[1]], "crop": preprocess.crop,
        "color": preprocess.color, "method": preprocess.method,
    }  # fmt: skip


def fitting(source: str, resized: int, count: int, preprocess: Preprocess) -> str:
    """The notice that pictures were brought to the model's size without being told how."""
    height, width = preprocess.resize or (0, 0)
    how = "cropped" if preprocess.crop else "stretched"
    return (
        f"{source}: {resized:,} of {count:,} pictures are {how} to {height}x{width}, the model's"
        f" size, by Pillow's {preprocess.method} filter; the app must do the same"
        " ([data.preprocess] resize, crop, method)"
    )


def fitted(array: Array, preprocess: Preprocess) -> Array:
    """A picture uint8 ``[height, width, 1 or 3]`` in the spec's size and colours."""
    from PIL import Image

    picture = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    if preprocess.color is None:
        preprocess = replace(preprocess, color=CHANNELS[array.shape[-1]])
    made = np.asarray(_fitted(picture, preprocess))
    return made[..., None] if made.ndim == 2 else made


def _fitted(picture: Any, preprocess: Preprocess) -> Any:
    """Colours first, then the size: stretched, or the shorter side fitted and the centre cut."""
    from PIL import Image

    picture = picture.convert(MODES[preprocess.color or "rgb"])
    if preprocess.resize is None:
        return picture
    height, width = preprocess.resize
    method = Image.Resampling[FILTERS[preprocess.method]]
    if preprocess.crop is None:
        return picture.resize((width, height), method)
    factor = max(height / picture.height, width / picture.width)
    size = (max(width, round(picture.width * factor)), max(height, round(picture.height * factor)))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return picture.resize(size, method).crop((left, top, left + width, top + height))
