"""Folders of .wav files: encodings, lengths and rates, and bad files by their names."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from edgekit.data import Dataset, from_file, open_source
from edgekit.errors import DataError
from edgekit.store import Store
from edgekit.types import Preprocess, TensorSpec

RAMP = np.linspace(-0.5, 0.5, 100)


def wave(
    samples: np.ndarray, rate: int = 8000, tag: int = 1, channels: int = 1, extra: bytes = b""
) -> bytes:
    """A .wav file of samples that are encoded already, with a chunk ``extra`` before them."""
    bits = 8 * samples.dtype.itemsize
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    content = b"WAVEfmt " + struct.pack("<I", len(head)) + head + extra
    content += b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    return b"RIFF" + struct.pack("<I", len(content)) + content


def integers(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32768).astype("<i2")


def folder(path: Path, **files: bytes) -> Path:
    """A folder ``words`` with files by class: ``yes_1`` is ``yes/1.wav``."""
    for name, content in files.items():
        file = path / "words" / f"{name.replace('_', '/')}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path / "words"


def read(path: Path, tmp_path: Path) -> Dataset:
    return from_file(path, Store(tmp_path / "store"))[0]


def test_every_encoding_gives_the_same_samples(tmp_path: Path) -> None:
    stereo = integers(np.stack([RAMP + 0.25, RAMP - 0.25], 1))
    listed = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    found = read(
        folder(
            tmp_path,
            no_pcm=wave(integers(RAMP)),
            no_stereo=wave(stereo, channels=2, extra=listed),
            yes_double=wave(RAMP.astype("<f8"), tag=3),
            yes_float=wave(RAMP.astype("<f4"), tag=3),
        ),
        tmp_path,
    )
    x = found.open("x")
    assert (x.dtype, x.shape) == (np.float32, (4, 100))
    assert np.abs(x - RAMP).max() < 1 / 32768
    assert (found.class_names, found.open_labels().tolist()) == (("no", "yes"), [0, 0, 1, 1])
    assert found.columns(["file"])["file"][1] == "no/stereo.wav"
    assert found.notices == ()


def test_sounds_are_padded_and_cut_to_the_most_common_length(tmp_path: Path) -> None:
    lengths = {"a_1": 100, "a_2": 100, "a_3": 60, "b_4": 130}
    path = folder(tmp_path, **{n: wave(integers(np.full(k, 0.5))) for n, k in lengths.items()})
    found = read(path, tmp_path)
    assert [int((row != 0).sum()) for row in found.open("x")] == [100, 100, 60, 100]
    (notice,) = found.notices
    assert "of 4 sounds 1 are padded with zeros and 1 are cut, to 100 samples" in notice


@pytest.mark.parametrize(
    ("seconds", "inputs", "length"),
    [(0.01, (), 80), (0.01, (TensorSpec("x", (None, 50), "float32"),), 50)],
)
def test_length_is_the_models_or_the_users(
    tmp_path: Path, seconds: float, inputs: tuple[TensorSpec, ...], length: int
) -> None:
    folder(tmp_path, a_1=wave(integers(RAMP)))
    store = Store(tmp_path / "store")
    found, _ = open_source(
        "words", tmp_path, store, None, Preprocess(), inputs=inputs, seconds=seconds
    )
    assert found.open("x").shape == (1, length)


GOOD = wave(integers(RAMP))


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (b"", "EK-DATA-003", "is empty"),
        (b"\x89PNG, which this is not", "EK-DATA-085", "is not a .wav file"),
        (GOOD[:-10], "EK-DATA-085", "is cut off: 190 of 200 bytes"),
        (GOOD[:40], "EK-DATA-085", "has no samples"),
        (wave(np.zeros(0, "<i2")), "EK-DATA-085", "has no samples"),
        (wave(np.zeros(9, "u1")), "EK-DATA-085", "encoded as format 1 with 8 bits"),
        (wave(np.zeros(9, "<i2"), channels=0), "EK-DATA-085", "0 channels"),
        (wave(integers(RAMP), rate=16000), "EK-DATA-085", "has 16,000 samples a second, most"),
        (wave(np.array([0, np.nan], "<f4"), tag=3), "EK-DATA-008", "has NaN or infinite"),
    ],
)
def test_bad_file_is_named(tmp_path: Path, bad: bytes, code: str, words: str) -> None:
    path = folder(tmp_path, a_1=GOOD, a_2=GOOD, b_bad=bad)
    with pytest.raises(DataError) as caught:
        read(path, tmp_path)
    assert caught.value.code == code
    assert "bad.wav" in caught.value.message
    assert words in caught.value.message
