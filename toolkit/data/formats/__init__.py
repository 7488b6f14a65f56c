"""The kinds of files and folders that hold items. A new one is a module here and a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit.data.dataset import Dataset
from edgekit.data.formats import (
    array_folder,
    audio_folder,
    image_folder,
    npy,
    npz,
    picture,
    records,
    table,
)
from edgekit.data.reading import Reading


@dataclass(frozen=True)
class Format:
    """A kind of source: what users call it, how it is recognised, checked at a glance, and read.

    ``check`` and ``read`` raise :class:`DataError`; ``read`` also says whether the store had it.
    """

    title: str
    matches: Callable[[Path], bool]
    check: Callable[[Path], None]
    read: Callable[[Reading], tuple[Dataset, bool]]


FORMATS = (
    Format("an .npz with arrays x and y", npz.matches, npz.check, npz.read),
    Format("an .npy", npy.matches, npy.check, npy.read),
    Format("a folder of .npy files", array_folder.matches, array_folder.check, array_folder.read),
    Format(
        "a folder of pictures by class", image_folder.matches, image_folder.check, image_folder.read
    ),
    Format(
        "a folder of .wav by class", audio_folder.matches, audio_folder.check, audio_folder.read
    ),
    Format("a picture", picture.matches, picture.check, picture.read),
    Format("a .tfrecord, or its shards", records.matches, records.check, records.read),
    Format("a .csv with a header", table.matches, table.check, table.read),
)
