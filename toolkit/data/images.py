"""Pictures as arrays: decoded, resized and cropped by Pillow, as the preprocess spec says.

Pillow's filters widen with the reduction (they antialias), as ``tf.image.resize`` does only with
``antialias=True`` and OpenCV only with ``INTER_AREA``. A picture is rotated upright as its camera
noted (Exif orientation), which TensorFlow's decoders do not do; of an animation the first frame
counts.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError
from edgekit.types import Json, Preprocess, TensorSpec

Array = npt.NDArray[Any]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
# Pictures that Pillow does not decode by itself.
FOREIGN = (".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".nef", ".arw", ".svg", ".psd")
# Source: Exif 2.3, "Orientation": the picture is as it is shown.
UPRIGHT, ORIENTATION = 1, 0x0112
# The spec's word for each of Pillow's filters. Source: Pillow handbook, "Concepts", "Filters".
FILTERS = {
    "nearest": "NEAREST",
    "area": "BOX",
    "bilinear": "BILINEAR",
    "hamming": "HAMMING",
    "bicubic": "BICUBIC",
    "lanczos": "LANCZOS",
}
MODES = {"rgb": "RGB", "bgr": "RGB", "grayscale": "L"}
CHANNELS = {1: "grayscale", 3: "rgb"}
STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")


def is_image(name: str) -> bool:
    """Tell whether a file is called like a picture."""
    return name.lower().endswith(SUFFIXES)


def model_layout(shape: tuple[int | None, ...]) -> str:
    """Return the layout of an image input ``[batch, …]``: channels-first where only that can be."""
    first, last = shape[1], shape[3]
    return "nchw" if first in CHANNELS and last not in CHANNELS else "nhwc"


def resolved(preprocess: Preprocess, inputs: tuple[TensorSpec, ...]) -> Preprocess:
    """Return the spec with its size, colours and layout from the model's only image input."""
    pictures = [spec.shape for spec in inputs if len(spec.shape) == 4]
    if len(pictures) == 1:
        layout = model_layout(pictures[0])
        preprocess = replace(preprocess, model_layout=layout)
        _, height, width, channels = pictures[0]
        if layout == "nchw":
            _, channels, height, width = pictures[0]
        if preprocess.resize is None and height and width:
            preprocess = replace(preprocess, resize=(height, width))
        if preprocess.color is None and channels in CHANNELS:
            preprocess = replace(preprocess, color=CHANNELS[channels])
    return preprocess if preprocess.color else replace(preprocess, color="rgb")


@dataclass(frozen=True)
class Picture:
    """A decoded picture, uint8, as the model takes it; ``original_size`` is height and width.

    ``turned`` says that it was rotated upright, as its Exif orientation says.
    """

    array: Array
    original_size: tuple[int, int]
    turned: bool

    def resized(self, preprocess: Preprocess) -> bool:
        """Tell whether it was brought to another size."""
        return preprocess.resize is not None and self.original_size != preprocess.resize


@dataclass
class Tally:
    """What happened to pictures while they were read, for the notices."""

    count: int = 0
    resized: int = 0
    turned: int = 0

    def add(self, picture: Picture, preprocess: Preprocess) -> None:
        self.count += 1
        self.resized += picture.resized(preprocess)
        self.turned += picture.turned

    def notices(self, source: str, preprocess: Preprocess, stated: bool) -> list[str]:
        """Return the notices for the user; ``stated`` says that the user chose the size."""
        texts = []
        if self.turned:
            texts.append(
                f"{source}: {self.turned:,} of {self.count:,} pictures are rotated upright as their"
                " Exif orientation says; the app must do the same"
            )
        if self.resized and not stated:
            texts.append(_fitting(source, self.resized, self.count, preprocess))
        return texts


def read(
    content: Path | bytes,
    name: str,
    preprocess: Preprocess,
    most_pixels: int | None = None,
    formats: tuple[str, ...] | None = None,
) -> Picture:
    """Return a picture, uint8 ``[height, width, channels]``, or channels first where the model
    takes so.

    Raises :class:`DataError` that names the picture where it is damaged or has 16-bit channels, or
    where its head says more than ``most_pixels``, before they are decoded. Of ``formats`` are the
    files that are read, by Pillow's names; by default all that it knows.
    """
    from PIL import Image, ImageOps

    file = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        with Image.open(file, formats=formats) as opened:
            if most_pixels is not None and opened.width * opened.height > most_pixels:
                message = f"{name} has {opened.width:,} x {opened.height:,} pixels"
                raise DataError("EK-DATA-009", message, f"at most {most_pixels:,} are decoded")
            opened.load()
            if opened.mode.startswith(("I", "F")):
                message = f"{name} has more than 8 bits per channel (mode {opened.mode})"
                hint = "save it with 8 bits, or give the values as an array: .npz"
                raise DataError("EK-DATA-009", message, hint)
            turned = opened.getexif().get(ORIENTATION, UPRIGHT) in range(2, 9)
            upright = ImageOps.exif_transpose(opened) if turned else opened
            had = (upright.height, upright.width)
            array = _laid_out(_fitted(upright, preprocess), preprocess)
    # Pillow lets its decoders' own errors through.
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        hint = f"truncated, damaged, or not an image: {error}"
        raise DataError("EK-DATA-003", f"{name} cannot be read as a picture", hint) from error
    return Picture(array, had, turned)


def decoded(picture: Array, preprocess: Preprocess) -> dict[str, Json]:
    """Return how pictures were decoded, for the store: all of them have the size of ``picture``."""
    first = preprocess.model_layout == "nchw"
    size = picture.shape[1:] if first else picture.shape[:2]
    return {**key(preprocess), "resize": list(size)}


def key(preprocess: Preprocess) -> dict[str, Json]:
    """Return the part of a spec that decides how pictures are decoded."""
    return {
        "resize": list(preprocess.resize or ()),
        "crop": preprocess.crop,
        "color": preprocess.color,
        "method": preprocess.method,
        "model_layout": preprocess.model_layout,
    }


def _fitting(source: str, resized: int, count: int, preprocess: Preprocess) -> str:
    height, width = preprocess.resize or (0, 0)
    how = "cropped" if preprocess.crop else "stretched"
    return (
        f"{source}: {resized:,} of {count:,} pictures are {how} to {height}x{width}, the model's"
        f" size, by Pillow's {preprocess.method} filter; the app must do the same"
        " (--resize, --crop; resize, crop, method of [data.preprocess])"
    )


def fitted(array: Array, preprocess: Preprocess) -> Array:
    """Return a picture uint8 ``[height, width, 1 or 3]`` in the spec's size, colours and layout."""
    from PIL import Image

    picture = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    if preprocess.color is None:
        preprocess = replace(preprocess, color=CHANNELS[array.shape[-1]])
    return _laid_out(_fitted(picture, preprocess), preprocess)


def _laid_out(picture: Any, preprocess: Preprocess) -> Array:
    """Return the pixels in the spec's order of colours, and in the model's layout."""
    array = np.asarray(picture)
    array = array[..., None] if array.ndim == 2 else array
    if preprocess.color == "bgr":
        array = array[..., ::-1]
    return array.transpose(2, 0, 1) if preprocess.model_layout == "nchw" else array


def _fitted(picture: Any, preprocess: Preprocess) -> Any:
    """Convert the colours, then resize: stretched, or the shorter side fitted and cropped."""
    from PIL import Image

    picture = picture.convert(MODES[preprocess.color or "rgb"])
    if preprocess.resize is None:
        return picture
    height, width = preprocess.resize
    method = Image.Resampling[FILTERS[preprocess.method]]
    if preprocess.crop is None:
        return _resized(picture, (width, height), method)
    factor = max(height / picture.height, width / picture.width)
    size = (max(width, round(picture.width * factor)), max(height, round(picture.height * factor)))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return _resized(picture, size, method).crop((left, top, left + width, top + height))


def _resized(picture: Any, size: tuple[int, int], method: Any) -> Any:
    """Resize the width, then the height.

    In one call Pillow 13 begins with the height where that costs less, earlier versions do not: the
    pixels would depend on the version.
    """
    return picture.resize((size[0], picture.height), method).resize(size, method)
