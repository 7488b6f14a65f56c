"""A parser that crashes, hangs or fills the memory is refused with the file's name: exit code 2."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from sources import opened, picture

from conftest import answer
from edgekit import isolated
from edgekit.errors import DataError, ModelError, StoreError
from edgekit.sandbox import state
from edgekit.types import Preprocess

pytestmark = pytest.mark.hostile

SMALL = Preprocess(resize=(4, 6))
REFUSAL = isolated.ParserFailure(DataError, "EK-DATA-003", "the file", "a picture")

# In place of a parser, in the process that reads.
FAULTS = """
import ctypes, time
from edgekit import isolated, errors

def give(*values):
    print("a parser says something")
    return list(values)

def fault(how, place=""):
    isolated.SECONDS = 1
    if place:
        isolated.note(place)
    {"segv": lambda: ctypes.string_at(0), "hang": lambda: time.sleep(600), "loop": loop,
     "memory": fill, "error": refuse, "system": lambda: open("/nowhere"),
     "loud": lambda: print("x" * 10_000_000, 1 / 0)}[how]()

def loop():
    while True:
        pass

def fill():
    held = bytearray(16 << 30)

def refuse():
    raise errors.ModelError("EK-MODEL-003", "planted", "a hint")
"""


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """A module of faults that the reading process finds too."""
    (tmp_path / "planted_faults.py").write_text(FAULTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    import planted_faults  # type: ignore[import-not-found]

    return planted_faults


def test_what_is_read_comes_back_whatever_the_parser_prints(faults: object) -> None:
    assert isolated.call(REFUSAL, faults.give, 1, "é", [2.5]) == [1, "é", [2.5]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("segv", "was ended by SIGSEGV"),
        ("hang", "not read after"),
        ("loop", "not read after"),
        ("memory", "GiB of memory"),
        ("loud", "ZeroDivisionError"),
    ],
)
def test_parser_that_does_not_come_back_is_refused_with_the_place_it_noted(
    faults: object, how: str, words: str
) -> None:
    with pytest.raises(DataError, match="EK-DATA-003") as caught:
        isolated.call(REFUSAL, faults.fault, how, "cats/3.png")  # type: ignore[attr-defined]
    assert caught.value.message == "cats/3.png cannot be read as a picture"
    assert words in caught.value.hint
    assert len(caught.value.hint) < 1000


def test_errors_of_the_reading_process_come_back_as_they_are(faults: object) -> None:
    with pytest.raises(ModelError, match="planted") as caught:
        isolated.call(REFUSAL, faults.fault, "error")  # type: ignore[attr-defined]
    assert caught.value.hint == "a hint"
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        isolated.call(REFUSAL, faults.fault, "system")  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="the file cannot be read as a picture"):
        isolated.call(REFUSAL, faults.fault, "segv")  # type: ignore[attr-defined]


# A decoder that has a fault for every picture of one width, where pictures are decoded.
DECODER = """
import ctypes, os, time
from PIL import Image
from edgekit import isolated
real = Image.open
def planted(*args, **kwargs):
    found = real(*args, **kwargs)
    if found.size[0] == 13:
        {action}
    return found
Image.open = planted
"""


def planted(folder: Path, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    """Three pictures, and a decoder with a fault for the second of them."""
    for name, width in (("a", 12), ("b", 13), ("c", 12)):
        picture(folder / "pets" / "cat" / f"{name}.png", 8, width)
    (folder / "hook").mkdir(exist_ok=True)
    (folder / "hook" / "sitecustomize.py").write_text(DECODER.format(action=action))
    monkeypatch.setenv("PYTHONPATH", str(folder / "hook"))


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("isolated.SECONDS = 1; isolated.note('pets: cat/b.png'); time.sleep(9)", "not read after"),
        ("held = bytearray(16 << 30)", "GiB of memory"),
    ],
    ids=["crash", "hang", "memory"],
)
def test_picture_that_its_decoder_does_not_survive_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, words: str
) -> None:
    planted(tmp_path, monkeypatch, action)
    with pytest.raises(DataError, match="EK-DATA-003") as caught:
        opened("pets", tmp_path, SMALL)
    assert caught.value.message == "pets: cat/b.png cannot be read as a picture"
    assert words in caught.value.hint


def bomb(width: int, height: int) -> bytes:
    """A small PNG that claims ``width`` x ``height`` pixels; its first thousand rows are there."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows = zlib.compress(bytes(1 + (width + 7) // 8) * min(height, 1000))
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_picture_that_unpacks_to_gigapixels_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "bomb.png").write_bytes(bomb(40_000, 40_000))
    with pytest.raises(DataError, match=r"p: bomb\.png cannot be read as a picture"):
        opened("p", tmp_path, SMALL)


def test_archive_that_claims_more_than_the_disk_has_is_refused_unread(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(1000))
        archive.infolist()[0].file_size = 1 << 60
        # The directory says so, as that of a bomb does.
        archive._didModify = True  # type: ignore[attr-defined]
    (tmp_path / "d.npz").write_bytes(content.getvalue())
    with pytest.raises(StoreError, match=r"d\.npz: unpacked it takes 1,152,921,504,606\.8 MB"):
        opened("d.npz", tmp_path)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_archive_with_a_damaged_member_is_refused_by_name(tmp_path: Path, method: int) -> None:
    array = io.BytesIO()
    np.save(array, np.arange(1000, dtype=np.float32))
    with zipfile.ZipFile(tmp_path / "d.npz", "w", method) as archive:
        archive.writestr("x.npy", array.getvalue())
    assert opened("d.npz", tmp_path).count == 1000
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[60:90] = b"\xff" * 30
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"d\.npz cannot be read as \.npz"):
        opened("d.npz", tmp_path)


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.csv", "x.tfrecord", "p/a.png"])
def test_pipe_in_place_of_a_data_file_is_refused_without_waiting(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="EK-DATA-003") as caught:
        opened(name.partition("/")[0], tmp_path)
    assert name.rpartition("/")[2] in caught.value.message


def test_hostile_picture_gives_exit_code_2_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "bomb.png").write_bytes(bomb(20_000, 20_000))
    done = answer("lint-data", "--data", "p", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "bomb.png" in done.stderr


@pytest.mark.skipif(not state().abi, reason="no Landlock here")
def test_decoder_that_was_taken_over_reaches_no_other_file(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    for action in (f"open({str(secret)!r})", f"open({str(tmp_path / 'marker')!r}, 'w')"):
        with pytest.MonkeyPatch.context() as patch:
            planted(tmp_path, patch, action)
            with pytest.raises(DataError, match="ermission denied"):
                opened("pets", tmp_path, SMALL)
    assert not (tmp_path / "marker").exists()
    # What is denied is what it was not given: a link to a picture elsewhere is followed.
    picture(tmp_path / "elsewhere" / "deep" / "d.png", 8, 12)
    (tmp_path / "pets" / "cat" / "b.png").unlink()
    (tmp_path / "pets" / "cat" / "d.png").symlink_to(tmp_path / "elsewhere" / "deep" / "d.png")
    assert opened("pets", tmp_path, SMALL).count == 3
