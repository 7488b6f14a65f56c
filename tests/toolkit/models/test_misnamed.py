"""Files that are not what their name says: recognised by what is in them, with the way on."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgekit.errors import ModelError
from edgekit.models.source import identify

ARRAY = "/* Copyright of somebody. */\n" * 20 + "const unsigned char m[] = {\n 0x1c, 0x0, 0x54};\n"


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


def _hdf5(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))


def _array(path: Path) -> None:
    path.write_text(ARRAY)


@pytest.mark.parametrize(
    ("name", "make", "what", "way_on"),
    [
        ("m.tflite", _zip, "zip archive", "rename it to m.keras, then: edgekit convert"),
        ("m.tflite", _hdf5, "HDF5 file", "rename it to m.h5, then: edgekit convert"),
        ("m.tflite", _array, "C source", "python -c"),
        ("m.cc", _array, "C source", "python -c"),
        ("m.h", _array, "C source", "python -c"),
    ],
)
def test_misnamed_model_is_recognised_by_its_content(
    tmp_path: Path, name: str, make: object, what: str, way_on: str
) -> None:
    assert callable(make)
    make(tmp_path / name)
    with pytest.raises(ModelError) as caught:
        identify(tmp_path / name)
    assert caught.value.code == "EK-MODEL-025"
    assert what in caught.value.message
    assert way_on in caught.value.hint


def test_noise_named_tflite_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(bytes(range(256)))
    with pytest.raises(ModelError, match="EK-MODEL-003"):
        identify(tmp_path / "m.tflite")


def test_architecture_that_speaks_of_c_is_no_c_source(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"class_name": "uint8_t", "config": {"name": "#include"}}')
    with pytest.raises(ModelError, match="EK-MODEL-016"):
        identify(tmp_path / "m.json")


def test_advised_command_writes_the_arrays_bytes(tmp_path: Path) -> None:
    _array(tmp_path / "m.cc")
    with pytest.raises(ModelError) as caught:
        identify(tmp_path / "m.cc")
    code = re.search(r'python -c "(.*)" <', caught.value.hint)
    assert code is not None
    with (tmp_path / "m.cc").open() as source:
        done = subprocess.run([sys.executable, "-c", code[1]], stdin=source, capture_output=True)
    assert done.stdout == bytes([0x1C, 0, 0x54])
