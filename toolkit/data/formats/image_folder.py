"""A folder of pictures: a folder per class, or all in one without labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.data import images
from edgekit.data.ahead import ahead
from edgekit.data.blocks import Writer
from edgekit.data.class_names import class_order
from edgekit.data.dataset import LABELS, NAMES, Dataset, check_file, describe
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.isolated import ParserFailure, call_confined, note
from edgekit.sandbox import Sandbox
from edgekit.types import Json, Preprocess

INPUT = "x"
MOST_FOLDERS = 64
# A picture of a hundred megapixels takes 300 MB while it is decoded.
MOST_THREADS = 8


def matches(path: Path) -> bool:
    return path.is_dir() and next(names_below(path), None) is not None


def check(path: Path) -> None:
    """Refuse pictures both beside the class folders and in them, and ones that are not there."""
    for names in classed(path, names_below(path)).values():
        for name in names[:1]:
            check_file(path / name, "picture")


def class_folders(path: Path) -> tuple[str, ...]:
    """Return the names of the class folders, sorted; empty where the pictures have no classes."""
    if not matches(path):
        return ()
    return tuple(name for name in classed(path, names_below(path)) if name)


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the pictures as ``x`` uint8 ``[N, height, width, channels]``, in the order of their
    paths.

    Labels ``y`` are int64 class numbers: the place of the folder's name in
    :attr:`Reading.class_names`, or else among the folders, sorted. The pictures' paths are kept
    beside as ``file``. Raises :class:`DataError` that names a picture which cannot be read, or is
    of another size than the first where no size is known.
    """
    files = list(names_below(reading.path))
    by_class = classed(reading.path, files)
    names = () if "" in by_class else class_order(reading.source, by_class, reading.class_names)
    spec = images.resolved(reading.preprocess, reading.inputs)
    defaulted = reading.preprocess.resize is None and spec.resize is not None
    left_out = _left_out(reading.path)
    key: dict[str, Json] = {
        "content": reading.content(files),
        "pictures": images.key(spec),
        "defaulted": defaulted,
        "class_names": list(names),
        "left_out": left_out,
    }

    def make(folder: Path) -> Mapping[str, Json]:
        refusal = ParserFailure(DataError, "EK-DATA-003", reading.source, "a picture")
        stated = reading.preprocess.resize is not None
        sandbox = Sandbox(_folders(reading.path, files), (folder.absolute(),))
        pictures = Pictures(reading.source, reading.path, by_class)

        def decoded(threads: int) -> Mapping[str, Any]:
            given = (pictures, spec, stated, names, bool(reading.class_names), folder, threads)
            facts: Mapping[str, Any] = call_confined(sandbox, refusal, decode, *given)
            return facts

        facts = _patiently(decoded)
        if not left_out:
            return facts
        count = len(files)
        notice = f"{reading.source}: {count:,} pictures are read, and left out are {left_out}"
        return {**facts, "notices": [*facts["notices"], notice]}

    return reading.obtain(key, make)


def _patiently(decoded: Callable[[int], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Decode with a thread for each core; where that fails, one by one, so that the right picture
    is named.
    """
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    try:
        return decoded(threads)
    except DataError:
        if threads == 1:
            raise
    return decoded(1)


@dataclass(frozen=True)
class Pictures:
    """Pictures below a folder, by class; ``source`` is what the user called it."""

    source: str
    path: Path
    by_class: Mapping[str, list[str]]


def decode(
    pictures: Pictures,
    spec: Preprocess,
    stated: bool,
    names: tuple[str, ...],
    ordered: bool,
    folder: Path,
    threads: int = 1,
) -> Mapping[str, Json]:
    """Write pictures as ``.npy`` files, in a process that may die of them; facts for the store.

    ``stated`` says that the size was the user's word, ``ordered`` that the order of the classes is.
    """

    def picture_of(shown: str) -> images.Picture:
        return images.read(pictures.path / shown, f"{source}: {shown}", spec)

    source = pictures.source
    writer = Writer(folder, source)
    tally, first = images.Tally(), ("", (0, 0))
    size: tuple[int, ...] = ()
    for name, files in pictures.by_class.items():
        for shown, wait in ahead(picture_of, files, threads):
            note(f"{source}: {shown}")
            picture = wait()
            tally.add(picture, spec)
            if not size:
                size, first = picture.array.shape, (shown, picture.original_size)
            if picture.array.shape != size:
                raise _sizes(source, (shown, picture.original_size), first)
            item = {INPUT: picture.array, NAMES: shown}
            writer.add({**item, LABELS: names.index(name)} if names else item)
    notices = [
        f"{source}: class {name!r} has no pictures"
        for name, files in pictures.by_class.items()
        if not files
    ]
    notices += [] if ordered else _ordered_as_text(source, names)
    notices += tally.notices(source, spec, stated)
    facts = dict(describe(source, writer.close()))
    return {
        **facts,
        "beside": [NAMES],
        "class_names": list(names),
        "notices": list(notices),
        "pictures": images.decoded(picture.array, spec),
    }


def _ordered_as_text(source: str, names: tuple[str, ...]) -> list[str]:
    """Tell where classes are numbers, and count in another order."""
    numbers = all(name.isdecimal() for name in names)
    if not numbers or list(names) == sorted(names, key=int):
        return []
    listed = ", ".join(names[:5])
    return [
        f"{source}: the classes count in the order of text, as Keras reads such a folder:"
        f" {listed} …; --labels ([data] labels) gives another order"
    ]


def _sizes(
    source: str, picture: tuple[str, tuple[int, int]], first: tuple[str, tuple[int, int]]
) -> DataError:
    listed = ", ".join(f"{name} is {had[0]}x{had[1]}" for name, had in (picture, first))
    message = f"{source}: {listed} (height x width)"
    hint = (
        "the items of one run have one size, even where a model takes any: say which, --resize HxW"
        " ([data.preprocess] resize = [height, width]); or judge each size by itself, a folder each"
    )
    return DataError("EK-DATA-019", message, hint)


def classed(path: Path, files: Iterable[str], kind: str = "pictures") -> Mapping[str, list[str]]:
    """Return files of a kind by class folder, in sorted order; under no name where there are no
    such folders. Raises :class:`DataError` where some are in folders, and some beside them.
    """
    folders = [entry.name for entry in os.scandir(path) if entry.is_dir() and _shown(entry.name)]
    pictures: dict[str, list[str]] = {name: [] for name in sorted(folders)}
    for file in files:
        folder, slash, _ = file.partition("/")
        pictures.setdefault(folder if slash else "", []).append(file)
    if "" in pictures and len(pictures) > 1:
        if not any(pictures[name] for name in folders):
            return {"": pictures[""]}
        message = f"{path} holds {kind}, and folders of {kind}"
        hint = f"one folder per class, or all {kind} in one folder and no classes"
        raise DataError("EK-DATA-002", message, hint)
    return pictures


def _folders(path: Path, files: Iterable[str]) -> tuple[Path, ...]:
    """Return the folders that pictures lie in: some are links to elsewhere."""
    real = {Path(os.path.realpath(path / file)).parent for file in files}
    # Each is a rule of its own for the process that reads.
    parents = sorted(real) if len(real) <= MOST_FOLDERS else [Path(os.path.commonpath(real))]
    return (path.absolute(), *parents)


def names_below(path: Path, wanted: Callable[[str], bool] = images.is_image) -> Iterator[str]:
    """Yield the pictures below a folder by their path there, sorted, without hidden ones, or the
    files of other names that are wanted.
    """
    seen: set[str] = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        # A link may lead back up.
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(filter(_shown, folders))
        if real in seen:
            continue
        seen.add(real)
        base = os.path.relpath(folder, path).replace(os.sep, "/")
        for file in sorted(filter(_shown, files)):
            if wanted(file):
                yield file if base == "." else f"{base}/{file}"


def _left_out(path: Path) -> str:
    """Count the files below a folder that are not read, by kind; empty for none."""
    kinds = Counter(
        Path(file).suffix.lower() or "without an ending"
        for _, _, files in os.walk(path)
        for file in filter(_shown, files)
        if not images.is_image(file)
    )
    foreign = [kind for kind in kinds if kind in images.FOREIGN]
    hint = f" (convert {' and '.join(foreign)} to .png or .jpg)" if foreign else ""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())) + hint


def _shown(name: str) -> bool:
    return not name.startswith((".", "__"))
