"""One picture: an item of its own, labelled where its folder is called like a class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.data import images
from edgekit.data.dataset import Dataset, check_file
from edgekit.data.formats.image_folder import Pictures, decode
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.isolated import ParserFailure, call
from edgekit.store import sha256
from edgekit.types import Json


def matches(path: Path) -> bool:
    return path.is_file() and images.is_image(path.name)


def check(path: Path) -> None:
    check_file(path, "picture")


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the picture as ``x`` uint8 ``[1, height, width, channels]``.

    Its label is the name of its folder, where :attr:`Reading.class_names` has it, as of a folder of
    pictures by class. Raises :class:`DataError` where it cannot be read.
    """
    path = reading.path.absolute()
    label = path.parent.name
    names = reading.class_names if label in reading.class_names else ()
    spec = images.resolved(reading.preprocess, reading.inputs)
    key = {
        "sha256": sha256(path),
        "pictures": images.key(spec),
        "defaulted": reading.preprocess.resize is None and spec.resize is not None,
        "label": label if names else None,
        "class_names": list(names),
    }
    stated = reading.preprocess.resize is not None
    alone = Pictures(reading.source, path.parent, {label: [path.name]})

    def make(folder: Path) -> Mapping[str, Json]:
        refusal = ParserFailure(DataError, "EK-DATA-003", reading.source, "a picture")
        return dict(call(refusal, decode, alone, spec, stated, names, bool(names), folder))

    return reading.obtain(key, make)
