"""Input of another hand is never a fault of edgekit: exit code 2 with the place, or an answer."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import SEED, bent, changed, honest

from conftest import answer
from edgekit import api, report
from edgekit.data.dataset import check_array
from edgekit.errors import DataError, ModelError, ProjectError
from edgekit.models import files
from edgekit.project import Project

pytestmark = pytest.mark.hostile


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "EK-PROJECT-002"),
        ("[train]\nepochs = " + "9" * 5000, "EK-PROJECT-002"),
        ("[train]\nepochs = 1_000_000_000_000", "EK-PROJECT-003"),
        ("[train]\nepochs = true", "EK-PROJECT-003"),
        ("[train]\nbatch_size = 1_000_000_000_000_000", "EK-PROJECT-003"),
        ("[compress]\nfinetune_epochs = true", "EK-PROJECT-003"),
        ('[data]\npreprocess = { scale = "1e400" }', "EK-PROJECT-003"),
        ("[data]\npreprocess = { scale = inf }", "EK-PROJECT-003"),
        ("[data]\npreprocess = { scale = true }", "EK-PROJECT-003"),
        ("[targets.linux-x86_64.budgets]\nsize = inf", "EK-PROJECT-003"),
        ('[targets.linux-x86_64.budgets]\nsize = "1e400 B"', "EK-PROJECT-003"),
        ("[targets.linux-x86_64.budgets]\naccuracy = { max_degradation = nan }", "EK-PROJECT-003"),
    ],
    ids=lambda value: "" if value.startswith("EK") else value[:40],
)
def test_project_file_is_refused_with_its_line(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "edgekit.toml").write_text(text)
    with pytest.raises(ProjectError) as caught:
        Project.load(tmp_path / "edgekit.toml")
    assert caught.value.code == code
    assert "edgekit.toml" in caught.value.message


@pytest.mark.parametrize("name", ["a" * 3000 + ".keras", "a/" * 3000 + "m.keras"])
def test_path_that_is_too_long_is_refused(tmp_path: Path, name: str) -> None:
    done = answer("convert", name, "--no-evaluate", cwd=tmp_path)
    assert done.returncode == 2
    assert "EK-USAGE-002" in done.stderr
    assert len(done.stderr) < 1000


@pytest.mark.parametrize("option", ["--max-drop", "--rescale", "--max-size"])
@pytest.mark.parametrize("value", ["1e400", "inf", "nan"])
def test_option_that_is_no_number_is_refused(tmp_path: Path, option: str, value: str) -> None:
    done = answer("convert", "m.keras", option, value, cwd=tmp_path)
    assert done.returncode == 2
    assert option in done.stderr


def header(text: str) -> bytes:
    padded = text.encode() + b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + bytes(64)


def described(shape: str, kind: str = "<f4") -> bytes:
    return header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}")


@pytest.mark.parametrize(
    "content",
    [
        described("(-4, 8)"),
        described("(True, 8)"),
        described("(4.5,)"),
        described("4"),
        described("(10000000000000, 8)"),
        described("(" + "9" * 4000 + ", 8)"),
        described("(4,)", "|O"),
        described("(4,)", "<q9"),
        header("(((("),
        header("(" * 3000),
        header("{'descr': " + "-" * 900 + "1}"),
        header("[" * 90 + "]" * 90),
        header("3"),
        b"",
    ],
    ids=[
        "negative",
        "true",
        "a fraction",
        "a number",
        "a huge shape",
        "a huge number",
        "objects",
        "no dtype",
        "brackets",
        "many brackets",
        "minus signs",
        "lists",
        "no table",
        "nothing",
    ],
)
def test_array_with_an_odd_header_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DataError):
        check_array("x.npz", "x", tmp_path / "x.npy")


def test_model_of_brackets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="EK-MODEL-003"):
        files.read(tmp_path / "model.json", "json")


def keras_archive(path: Path, method: int) -> bytes:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
    return path.read_bytes()


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_archive_with_a_damaged_member_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "model.keras"
    content = bytearray(keras_archive(path, method))
    content[50:70] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ModelError, match="EK-MODEL-003"):
        files.read(path, "keras")


@pytest.mark.parametrize(
    ("name", "size"), [("config.json", files.CONFIGURATION), ("model.weights.h5", 1 << 22)]
)
def test_archive_that_unpacks_to_much_more_is_refused_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    """As keras-team/keras 23010: a file of kilobytes took minutes and gigabytes."""
    monkeypatch.setattr(files, "ROOM", 1 << 20)
    monkeypatch.setattr(files, "EXPANSION", 100)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b" " * (size + 1))
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelError, match=f"{name} would unpack to"):
        files.read(path, "keras")


def test_report_with_an_operator_of_no_name_is_judged(digits_report: Any, tmp_path: Path) -> None:
    changed_report = copy.deepcopy(digits_report)
    changed_report["candidates"][0]["float_operators"] = [""]
    (tmp_path / "report.json").write_text(json.dumps(changed_report))
    assert api.check(tmp_path / "report.json").verdict.status.value == "passed"


# --- fuzzers: seeded and bounded; of other readers in test_fuzzed_readers.py ---------------------


@pytest.mark.slow
def test_mutated_reports_are_refused_or_judged(digits_report: Any, tmp_path: Path) -> None:
    rng, path = random.Random(SEED), tmp_path / "report.json"
    judged = 0
    for _ in range(400):
        path.write_text(json.dumps(changed(digits_report, rng)))
        done = honest(lambda: api.check(path))
        if done is None:
            continue
        judged += 1
        report.junit(done)
        report.summary(done)
        json.dumps(report.to_json(done), allow_nan=False)
    assert judged > 10


PROJECT = """\
schema = 1
[model]
name = "digits"
source = "model.py:build"
[data]
train = "data.py:train"
preprocess = { scale = "1/255", offset = 0.0 }
[train]
epochs = 10
[compress]
prune = { sparsity = 0.5, schedule = "polynomial" }
[targets.linux-x86_64.budgets]
size = "150 kB"
accuracy = { max_degradation = 0.01 }
latency_p50 = "5 ms"
"""


@pytest.mark.slow
def test_mutated_project_files_are_refused_or_read(tmp_path: Path) -> None:
    rng, path = random.Random(SEED), tmp_path / "edgekit.toml"
    for _ in range(1500):
        path.write_bytes(bent(PROJECT.encode(), rng))
        honest(lambda: Project.load(path))


@pytest.mark.slow
def test_mutated_arrays_are_refused_or_read(tmp_path: Path) -> None:
    rng, path = random.Random(SEED), tmp_path / "x.npy"
    buffer = io.BytesIO()
    np.save(buffer, np.arange(32, dtype=np.float32).reshape(4, 8))
    for _ in range(1500):
        path.write_bytes(bent(buffer.getvalue()[:128], rng) + buffer.getvalue()[128:])
        honest(lambda: check_array("x.npy", "x", path))


@pytest.mark.slow
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_mutated_archives_and_architectures_are_refused_or_read(
    tmp_path: Path, method: int
) -> None:
    rng = random.Random(SEED)
    whole = keras_archive(tmp_path / "whole.keras", method)
    document = json.dumps({"class_name": "Sequential", "config": {"layers": [{"a": 1}]}}).encode()
    archive, text = tmp_path / "model.keras", tmp_path / "model.json"
    for _ in range(500):
        archive.write_bytes(bent(whole, rng))
        text.write_bytes(bent(document, rng))
        honest(lambda: files.read(archive, "keras"))
        honest(lambda: files.read(text, "json"))
