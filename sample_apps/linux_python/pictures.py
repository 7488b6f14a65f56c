"""Read pictures as the bundle's manifest says: decoded, upright, in the model's colours and size.

Needs Pillow, and numpy. The pixels are those that edgekit measured the model with: what it does is
what edgekit does on the host, step by step. Works on Python 3.9 and later.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, Tuple

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
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


def is_picture(path: str) -> bool:
    """Whether a file is called like a picture."""
    return path.lower().endswith(SUFFIXES)


def resolved(preprocess: Dict[str, Any], shape: List[int]) -> Dict[str, Any]:
    """The spec, with what it leaves open taken from the shape of an item (no batch)."""
    if len(shape) not in (2, 3):
        raise RuntimeError("the model takes items of %s, which are not pictures" % shape)
    item = list(shape) if len(shape) == 3 else [shape[0], shape[1], 1]
    spec = {"method": "bilinear", "crop": None, **preprocess}
    if "model_layout" not in spec:
        first = item[0] in CHANNELS and item[2] not in CHANNELS
        spec["model_layout"] = "nchw" if first else "nhwc"
    height, width, channels = item
    if spec["model_layout"] == "nchw":
        channels, height, width = item
    if spec.get("resize") is None:
        spec["resize"] = [height, width]
    if spec.get("color") is None:
        spec["color"] = CHANNELS.get(channels, "rgb")
    return spec


def read(path: str, spec: Dict[str, Any]) -> Any:
    """A picture, uint8 ``[height, width, channels]``, or channels first as the model takes it."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise RuntimeError("%s needs Pillow: pip install pillow" % path) from error
    try:
        with Image.open(path) as opened:
            opened.load()
            if opened.mode.startswith(("I", "F")):
                raise RuntimeError(
                    "%s has more than 8 bits per channel (mode %s): save it with 8 bits"
                    % (path, opened.mode)
                )
            array = np.asarray(fitted(ImageOps.exif_transpose(opened), spec))
    except FileNotFoundError:
        raise
    # Pillow lets its decoders' own errors through.
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise RuntimeError("%s cannot be read as a picture: %s" % (path, error)) from error
    array = array[..., None] if array.ndim == 2 else array
    if spec["color"] == "bgr":
        array = array[..., ::-1]
    return array.transpose(2, 0, 1) if spec["model_layout"] == "nchw" else array


def fitted(picture: Any, spec: Dict[str, Any]) -> Any:
    """Colours first, then the size: stretched, or the shorter side fitted and the centre cut."""
    from PIL import Image

    picture = picture.convert(MODES[spec["color"]])
    height, width = spec["resize"]
    # Pillow before 9.1 has its filters in the module itself.
    method = getattr(getattr(Image, "Resampling", Image), FILTERS[spec["method"]])
    if spec["crop"] is None:
        return resized(picture, (width, height), method)
    factor = max(height / picture.height, width / picture.width)
    size = (max(width, round(picture.width * factor)), max(height, round(picture.height * factor)))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return resized(picture, size, method).crop((left, top, left + width, top + height))


def resized(picture: Any, size: Tuple[int, int], method: Any) -> Any:
    """Resize the width, then the height.

    In one call Pillow 13 begins with the height where that costs less, earlier versions do not: the
    pixels would depend on the version.
    """
    return picture.resize((size[0], picture.height), method).resize(size, method)
