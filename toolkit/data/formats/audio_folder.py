"""A folder of sounds: a folder of ``.wav`` files per class, or all in one without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekit.data.blocks import Writer
from edgekit.data.class_names import class_order
from edgekit.data.dataset import LABELS, NAMES, Dataset, check_file, describe
from edgekit.data.formats.image_folder import classed, names_below
from edgekit.data.reading import Reading
from edgekit.data.sound import CODE, Wave, is_sound, opened
from edgekit.errors import DataError
from edgekit.types import Json, TensorSpec

INPUT = "x"


def matches(path: Path) -> bool:
    return path.is_dir() and next(names_below(path, is_sound), None) is not None


def check(path: Path) -> None:
    """Refuse sounds both beside the class folders and in them, and ones that are not there."""
    for names in classed(path, names_below(path, is_sound), "sounds").values():
        for name in names[:1]:
            check_file(path / name, "sound")


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the sounds as ``x`` float32 ``[N, samples]`` in -1 to 1, in the order of their paths.

    Channels are averaged. All have one length: that of the model's input, else
    :attr:`Reading.seconds`, else the most common; shorter ones are padded with zeros, longer ones
    cut, and a notice counts them. Labels and names are as those of pictures. Raises
    :class:`DataError` that names a file which cannot be read, or has another rate than most.
    """
    files = list(names_below(reading.path, is_sound))
    by_class = classed(reading.path, files, "sounds")
    names = () if "" in by_class else class_order(reading.source, by_class, reading.class_names)
    wanted = _wanted(reading.inputs)
    signal = reading.preprocess.signal
    key: dict[str, Json] = {
        "content": reading.content(files),
        "class_names": list(names),
        "samples": wanted,
        "seconds": reading.seconds,
        "rate": signal.rate if signal else None,
    }

    def make(folder: Path) -> Mapping[str, Json]:
        source = reading.source
        waves = {name: opened(reading.path / name, f"{source}: {name}") for name in files}
        rate = _rate(source, waves, signal.rate if signal else None)
        length = wanted or _length(waves, rate, reading.seconds)
        writer = Writer(folder, source)
        for name, listed in by_class.items():
            for shown in listed:
                item = {INPUT: _fitted(waves[shown], length, f"{source}: {shown}"), NAMES: shown}
                writer.add({**item, LABELS: names.index(name)} if names else item)
        facts = dict(describe(source, writer.close()))
        notices = _notices(source, waves, length, rate)
        return {**facts, "beside": [NAMES], "class_names": list(names), "notices": notices}

    return reading.obtain(key, make)


def _wanted(inputs: tuple[TensorSpec, ...]) -> int | None:
    """Return how many samples the model takes, where its only input is samples."""
    shape = inputs[0].shape if len(inputs) == 1 else ()
    return shape[1] if len(shape) == 2 else None


def _rate(source: str, waves: Mapping[str, Wave], wanted: int | None) -> int:
    """Return the rate of all files. Raises :class:`DataError` where one has another."""
    rate = wanted or Counter(wave.rate for wave in waves.values()).most_common(1)[0][0]
    others = {name: wave.rate for name, wave in waves.items() if wave.rate != rate}
    if others:
        name, found = next(iter(others.items()))
        whose = "[data.preprocess.signal] has" if wanted else "most have"
        message = f"{source}: {name} has {found:,} samples a second, {whose} {rate:,}"
        hint = f"{len(others):,} files differ: `ffmpeg -i in.wav -ar {rate} out.wav` resamples one"
        raise DataError(CODE, message, hint)
    return rate


def _length(waves: Mapping[str, Wave], rate: int, seconds: float | None) -> int:
    if seconds is not None:
        return max(1, round(seconds * rate))
    counts = Counter(wave.count for wave in waves.values())
    return max(counts, key=lambda count: (counts[count], count))


def _fitted(wave: Wave, length: int, shown: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    samples = wave.samples(length)
    if not np.isfinite(samples).all():
        raise DataError("EK-DATA-008", f"{shown} has NaN or infinite samples", "take it out")
    return np.pad(samples, (0, length - len(samples)))


def _notices(source: str, waves: Mapping[str, Wave], length: int, rate: int) -> list[Json]:
    shorter = sum(wave.count < length for wave in waves.values())
    longer = sum(wave.count > length for wave in waves.values())
    if not shorter + longer:
        return []
    done = [f"{shorter:,} are padded with zeros"] * bool(shorter)
    done += [f"{longer:,} are cut"] * bool(longer)
    message = (
        f"{source}: of {len(waves):,} sounds {' and '.join(done)}, to {length:,} samples"
        f" ({length / rate:.3g} s)"
    )
    return [f"{message}; [data] seconds sets another length"]
