"""Files that crash, hang or mislead their parser end a process of their own, not edgekit's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import pytest

from conftest import answer
from edgekit.errors import ModelError
from edgekit.models import files, subprocess_reader
from edgekit.models.source import identify

pytestmark = pytest.mark.hostile

CRASHING = Path(__file__).parent / "hdf5_cve"
CONFIG = json.dumps({"class_name": "Sequential", "config": {"name": "model", "layers": []}})


def test_groups_that_are_linked_twice_are_visited_once(tmp_path: Path) -> None:
    path = tmp_path / "diamond.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = CONFIG
        group: h5py.Group = file
        for _ in range(26):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
        group["kernel"] = h5py.ExternalLink("other.h5", "kernel")
    # 2^26 paths lead to it; it is found once.
    assert files.links(path) == ("kernel in other.h5",)


def test_link_to_a_pipe_is_refused_without_being_opened(tmp_path: Path) -> None:
    pipe, path = tmp_path / "pipe", tmp_path / "m.h5"
    os.mkfifo(pipe)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = CONFIG
        file["model_weights"] = h5py.ExternalLink(str(pipe), "/")
    with pytest.raises(ModelError, match="EK-MODEL-014") as caught:
        identify(path)
    assert str(pipe) in caught.value.message


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV"),
        (
            "import time; from edgekit import isolated\nisolated.SECONDS = 1; isolated.note('')\n"
            "time.sleep(9)",
            "not read after",
        ),
        ("raise MemoryError", "GiB of memory"),
    ],
)
def test_parser_that_ends_badly_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    (tmp_path / "h5py.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "m.h5"
    for read in (lambda: subprocess_reader.read(path, "h5"), lambda: subprocess_reader.links(path)):
        with pytest.raises(ModelError, match="EK-MODEL-003") as caught:
            read()
        assert str(path) in caught.value.message
        assert words in caught.value.hint


def test_own_process_opens_no_hdf5_file_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = CONFIG
        file.attrs["keras_version"] = "2.15.0"

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("opened here")

    monkeypatch.setattr(h5py, "File", opened)
    assert identify(path).generation == "keras2"


def test_modules_beside_the_user_are_not_imported_to_read_a_file(tmp_path: Path) -> None:
    (tmp_path / "h5py.py").write_text("open('marker', 'w')")
    path = tmp_path / "m.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    done = answer("convert", path, "--no-evaluate", cwd=tmp_path)
    assert done.returncode == 2
    assert "EK-MODEL-003" in done.stderr
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", sorted(path.name for path in CRASHING.glob("*.h5")))
def test_published_file_that_crashes_the_hdf5_library_is_refused_by_name(name: str) -> None:
    for read in (identify, subprocess_reader.links):
        with pytest.raises(ModelError, match="EK-MODEL-003") as caught:
            read(CRASHING / name)
        assert name in caught.value.message


def test_published_file_that_crashes_the_hdf5_library_gives_exit_code_2(tmp_path: Path) -> None:
    path = CRASHING / "cve-2025-6858.h5"
    (tmp_path / "m.json").write_text(CONFIG)
    for arguments in ([path], ["m.json", "--weights", path]):
        done = answer("convert", *arguments, "--no-evaluate", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "EK-MODEL-003" in done.stderr
        assert path.name in done.stderr
