"""Every reader of files of another hand, with mutants: refused with a code, or read; never more.

Seeded and bounded. Those of reports, project files, arrays, ``.keras`` and architectures are in
test_hostile_input.py, of ``.tflite`` files in tests/converters/test_hostile_files.py.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flatfiles
import h5py
import numpy as np
import pytest
from fuzzing import SEED, bent, changed, trial, written
from PIL import Image

from conftest import answer, once
from edgekit import data
from edgekit.data import annotations
from edgekit.data.formats import npz
from edgekit.errors import CassetteError, ExitCode
from edgekit.models import subprocess_reader
from edgekit.pipeline.measure import bench_inputs
from edgekit.store import Store
from edgekit.targets.bundles import verify
from edgekit.targets.bundles.archive import MANIFEST
from edgekit.targets.devices.answers import check_state
from edgekit.targets.devices.cassette import archive
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Preprocess

Files = dict[str, bytes]
REFUSED = (ExitCode.USAGE,)
# A bundle that does not hold what it says is a finding of `verify`, exit code 1.
FOUND_DAMAGED = (ExitCode.USAGE, ExitCode.FAILED)


def mutants(count: int, make: Callable[[random.Random], Any]) -> Iterator[Any]:
    rng = random.Random(SEED)
    for _ in range(count):
        yield make(rng)


# --- bundles -------------------------------------------------------------------------------------


@pytest.fixture
def bundle(digits_run: Path) -> Files:
    """The files of the example's bundle by their path; its self-test has no runtime to run on."""
    (path,) = (digits_run / "project" / "dist").glob("*.tar.gz")
    with tarfile.open(path) as found:
        files = {m.name.partition("/")[2]: found.extractfile(m).read() for m in found}  # type: ignore[union-attr]
    manifest = json.loads(files[MANIFEST])
    return {**files, MANIFEST: json.dumps({**manifest, "runtimes": [{"name": "nosuch"}]}).encode()}


def packed(path: Path, files: Files) -> Path:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as made:
        for name, held in files.items():
            member = tarfile.TarInfo(f"root/{name}")
            member.size = len(held)
            made.addfile(member, io.BytesIO(held))
    path.write_bytes(gzip.compress(content.getvalue(), 1))
    return path


def unpacked(path: Path) -> object:
    """What `bench` takes of a bundle, verified first."""
    shutil.rmtree(path.parent / "store", ignore_errors=True)
    return bench_inputs.unpack(path, Store(path.parent / "store"))


@pytest.mark.slow
def test_mutated_manifests_are_refused_or_read(bundle: Files, tmp_path: Path) -> None:
    manifest = json.loads(bundle[MANIFEST])
    found = trial(
        mutants(300, lambda rng: written(changed(manifest, rng))),
        lambda one: unpacked(packed(tmp_path / "b.tar.gz", {**bundle, MANIFEST: one})),
        FOUND_DAMAGED,
    )
    assert found["read"] > 50
    assert found["EK-BUNDLE-004"] > 100


@pytest.mark.slow
def test_mutated_archives_of_bundles_are_refused_or_read(bundle: Files, tmp_path: Path) -> None:
    path = packed(tmp_path / "b.tar.gz", bundle)
    whole = path.read_bytes()
    plain = gzip.decompress(whole)

    def mutant(rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return bent(whole, rng)
        return gzip.compress(bent(plain[:1024], rng) + plain[1024:], 1)

    def read(one: bytes) -> None:
        path.write_bytes(one)
        verify(path)

    assert trial(mutants(300, mutant), read, FOUND_DAMAGED)["EK-BUNDLE-002"] > 100


def with_digests(files: Files) -> Files:
    manifest = json.loads(files[MANIFEST])
    for name, entry in manifest["files"].items():
        entry["sha256"] = hashlib.sha256(files[name]).hexdigest()
    return {**files, MANIFEST: json.dumps(manifest).encode()}


def with_bent_array(files: Files, rng: random.Random) -> Files:
    name = rng.choice([name for name in files if name.endswith(".npy")])
    return with_digests({**files, name: bent(files[name][:128], rng) + files[name][128:]})


@pytest.mark.slow
def test_mutated_golden_arrays_are_refused_or_read(bundle: Files, tmp_path: Path) -> None:
    found = trial(
        mutants(100, lambda rng: with_bent_array(bundle, rng)),
        lambda one: unpacked(packed(tmp_path / "b.tar.gz", one)),
        FOUND_DAMAGED,
    )
    assert found["EK-BUNDLE-006"] > 50


@pytest.mark.parametrize(
    "preprocess",
    [
        {"odd": 1},
        {"scale": "x"},
        {"scale": []},
        {"resize": [1, 2, 3]},
        {"resize": [0, 4]},
        [],
        None,
    ],
    ids=str,
)
def test_preprocessing_that_is_not_known_is_refused(
    bundle: Files, tmp_path: Path, preprocess: object
) -> None:
    manifest = {**json.loads(bundle[MANIFEST]), "preprocess": preprocess}
    path = packed(tmp_path / "b.tar.gz", {**bundle, MANIFEST: json.dumps(manifest).encode()})
    done = answer("bench", path, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "EK-BUNDLE-004" in done.stderr
    assert "preprocess" in done.stderr


def test_scale_per_channel_of_a_bundle_stays_per_channel(bundle: Files, tmp_path: Path) -> None:
    scale = {"scale": [0.5], "offset": [0], "resize": [8, 8]}
    manifest = {**json.loads(bundle[MANIFEST]), "preprocess": scale}
    path = packed(tmp_path / "b.tar.gz", {**bundle, MANIFEST: json.dumps(manifest).encode()})
    found = bench_inputs.unpack(path, Store(tmp_path / "store")).preprocess
    assert (found.channels, found.scale, found.offset) == (1, (0.5,), (0.0,))
    assert found.resize == (8, 8)


def test_golden_input_that_is_no_array_is_refused(bundle: Files, tmp_path: Path) -> None:
    for content in (b"\x93NUMPY\x01\x00\x06\x00(((((\n", b"PK\x03\x04", b""):
        files = with_digests({**bundle, "golden/input_0.npy": content})
        done = answer("bench", packed(tmp_path / "b.tar.gz", files), cwd=tmp_path)
        assert done.returncode == 1, done.stderr
        assert "EK-BUNDLE-006" in done.stderr


# --- cassettes -----------------------------------------------------------------------------------

EVALUATE = ("evaluate", "probe.tflite", "--data", "items.npz", "--metric", "accuracy", "--json")
BENCH = (
    "bench",
    "conv.tflite",
    "--min-seconds",
    "0.02",
    "--max-seconds",
    "0.1",
    "--launches",
    "2",
    "--no-calibrate",
    "--json",
)
COMMANDS = {"evaluate": EVALUATE, "bench": BENCH}


@pytest.fixture(scope="session")
def recorded(shared: Path) -> Path:
    """A folder with the records of two commands. Read only."""

    def make(folder: Path) -> None:
        (folder / "conv.tflite").write_bytes(flatfiles.convolutional())
        (folder / "probe.tflite").write_bytes(probe_model())
        np.savez(folder / "items.npz", x=np.eye(4, dtype=np.float32), y=np.array([0, 1, 2, 0]))
        for name, words in COMMANDS.items():
            done = answer(*words, "--record", f"{name}.zip", cwd=folder)
            assert done.returncode == 0, done.stderr

    return once(shared / "fuzzed-cassettes", make)


def members(path: Path) -> Files:
    with zipfile.ZipFile(path) as found:
        return {name: found.read(name) for name in found.namelist()}


def zipped(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


def replayed(recorded: Path, name: str, path: Path) -> None:
    """Play a cassette back: it answers, or is refused. A bench may end undecided."""
    done = answer(*COMMANDS[name], "--replay", path, "--output", path.parent, cwd=recorded)
    if done.returncode == 2:
        raise CassetteError("EK-DEVICE-091", done.stderr)
    assert done.returncode in (0, 1, 3, 4, 5), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_mutated_cassettes_are_refused_or_answer(recorded: Path, tmp_path: Path, name: str) -> None:
    files = members(recorded / f"{name}.zip")
    document = json.loads(files[archive.DOCUMENT])
    arrays = [one for one in files if one.startswith(archive.ARRAYS)]

    def mutant(rng: random.Random) -> Files:
        if rng.random() < 0.8:
            return {**files, archive.DOCUMENT: written(changed(document, rng))}
        old = rng.choice(arrays)
        content = bent(files[old][:128], rng) + files[old][128:]
        digests = (Path(old).stem, hashlib.sha256(content).hexdigest())
        said = files[archive.DOCUMENT].replace(*(one.encode() for one in digests))
        return {**files, old.replace(*digests): content, archive.DOCUMENT: said}

    found = trial(
        mutants(120, mutant),
        lambda one: replayed(recorded, name, zipped(tmp_path / "m.zip", one)),
        REFUSED,
    )
    assert found["read"] > 12
    assert found["EK-DEVICE-091"] > 30


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("devices", None),
        ("devices", [{}]),
        ("devices.0.opens.0.device", "x"),
        ("devices.0.opens.0.device.odd", 1),
        ("devices.0.facts.0.is", None),
        ("devices.0.facts.0.is.unavailable", 3),
        ("devices.0.runs.0.result", None),
        ("devices.0.runs.0.result.models", []),
        ("devices.0.runs.0.result.models.model-0.memory.peak_bytes", "x"),
        ("devices.0.runs.0.result.models.model-0.memory.baseline_bytes", [1, 2]),
        ("devices.0.runs.0.result.models.model-0.items", {}),
        ("devices.0.runs.0.result.models.model-0.seconds", float("inf")),
        ("devices.0.runs.0.outputs", {"9/y.npy": "a"}),
        ("devices.0.runs.0.request", []),
        ("devices.0.clock", "x"),
        ("expanded", None),
        ("listed", {"a": {"name": "a"}}),
        ("host", []),
        ("devices.0.runs.0.error", {"kind": "NoSuch"}),
    ],
    ids=str,
)
def test_cassette_of_another_form_is_refused_with_the_place(
    recorded: Path, tmp_path: Path, place: str, value: object
) -> None:
    files = members(recorded / "evaluate.zip")
    document = json.loads(files[archive.DOCUMENT])
    *where, last = place.split(".")
    at = document
    for part in where:
        at = at[int(part)] if isinstance(at, list) else at[part]
    at[last] = value
    path = zipped(tmp_path / "m.zip", {**files, archive.DOCUMENT: written(document)})
    with pytest.raises(CassetteError, match="EK-DEVICE-091") as caught:
        archive.read(path)
    assert "Infinity" in caught.value.hint or place.split(".")[0] in caught.value.hint


@pytest.mark.parametrize("name", ["busy", "frequency_hz", "load1", "temperature_c", "throttled"])
def test_state_with_a_list_for_one_number_is_refused(name: str) -> None:
    state = {"unavailable": {}, "at": 1.0, "own": 1.0, name: 1.0}
    check_state(state)
    with pytest.raises(ValueError, match=f"state.{name} is not a number"):
        check_state({**state, name: [1.0]})


def test_recorded_output_that_is_no_array_is_refused(recorded: Path, tmp_path: Path) -> None:
    files = members(recorded / "evaluate.zip")
    document = json.loads(files[archive.DOCUMENT])
    for content in (b"no array", b"\x93NUMPY\x01\x00\x06\x00(((((\n"):
        digest = hashlib.sha256(content).hexdigest()
        outputs = document["devices"][0]["runs"][0]["outputs"]
        outputs.update(dict.fromkeys(outputs, digest))
        path = zipped(
            tmp_path / "m.zip",
            {archive.DOCUMENT: written(document), f"{archive.ARRAYS}/{digest}.npy": content},
        )
        with pytest.raises(CassetteError, match="is not an array"):
            replayed(recorded, "evaluate", path)


# --- data and models -----------------------------------------------------------------------------

TABLE = b"a,b,c,y\n" + b"".join(
    f"{k},{k / 3:.2f},-3,{('cat', 'dog')[k % 2]}\n".encode() for k in range(9)
)


def opened(path: Path) -> None:
    """Open a source and look at all of it."""
    shutil.rmtree(path.parent / "store", ignore_errors=True)
    store = Store(path.parent / "store")
    found, _ = data.open_source(path.name, path.parent, store, None, Preprocess())
    for name in found.arrays:
        found.open(name)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_mutated_tables_are_refused_or_read(tmp_path: Path, encoding: str) -> None:
    path, whole = tmp_path / "d.csv", TABLE.decode().encode(encoding)

    def read(one: bytes) -> None:
        path.write_bytes(one)
        opened(path)

    found = trial(mutants(700, lambda rng: bent(whole, rng)), read, REFUSED)
    assert found["read"] > 20
    assert found["EK-DATA-017"] > 100


@pytest.mark.slow
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_mutated_archives_of_arrays_are_refused_or_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Any
) -> None:
    path, whole = tmp_path / "d.npz", io.BytesIO()
    save(whole, x=np.arange(32, dtype=np.float32).reshape(4, 8), y=np.arange(4))
    # Python's own code: it ends no process, and a thousand processes take their time.
    monkeypatch.setattr(npz, "call_confined", lambda _, __, function, *given: function(*given))

    def read(one: bytes) -> None:
        path.write_bytes(one)
        opened(path)

    found = trial(mutants(700, lambda rng: bent(whole.getvalue(), rng)), read, REFUSED)
    assert found["EK-DATA-003"] > 100


@pytest.mark.slow
def test_mutated_pictures_are_refused_or_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(SEED).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    whole = {}
    for kind in ("png", "jpeg", "gif", "webp", "tiff", "bmp", "ppm"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind)
        whole[kind] = file.getvalue()
    folder = tmp_path / "p"

    def read(one: tuple[str, bytes]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        kind = one[0].replace("jpeg", "jpg")
        (folder / f"a.{kind}").write_bytes(one[1])
        opened(folder)

    def mutant(rng: random.Random) -> tuple[str, bytes]:
        kind = rng.choice(sorted(whole))
        return kind, bent(whole[kind], rng)

    assert len(trial(mutants(40, mutant), read, REFUSED)) > 1


COCO = {
    "images": [{"id": 7, "file_name": "two.jpg", "width": 200, "height": 100}],
    "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    "annotations": [{"image_id": 7, "category_id": 1, "bbox": [20, 20, 80, 40], "iscrowd": 0}],
}
VOC = b"""<annotation><size><width>200</width><height>100</height></size>
<object><name>dog</name><difficult>0</difficult><bndbox><xmin>21</xmin><ymin>21</ymin>
<xmax>100</xmax><ymax>60</ymax></bndbox></object></annotation>"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two.json", "two.xml", "two.txt"])
def test_mutated_annotations_are_refused_or_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    whole = {"two.xml": VOC, "two.txt": b"1 0.5 0.5 0.2 0.2\n0 0.1 0.1 0.2 0.2\n"}

    def mutant(rng: random.Random) -> bytes:
        return written(changed(COCO, rng)) if name == "two.json" else bent(whole[name], rng)

    def read(one: bytes) -> None:
        path.write_bytes(one)
        source = path if name == "two.json" else tmp_path
        annotations.listed(source, ["two.jpg"], ["cat", "dog"])

    found = trial(mutants(700, mutant), read, REFUSED)
    assert found["read"] > 2
    assert found["EK-DATA-066"] > 100


@pytest.mark.slow
def test_mutated_hdf5_files_are_refused_or_read(tmp_path: Path) -> None:
    path, whole = tmp_path / "m.h5", tmp_path / "whole.h5"
    config = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": []}})
    with h5py.File(whole, "w") as file:
        file.attrs["model_config"] = config
        for name in "abc":
            file[f"model_weights/{name}/kernel"] = np.eye(4)
    content = whole.read_bytes()

    def read(one: bytes) -> None:
        path.write_bytes(one)
        subprocess_reader.read(path, "h5")

    assert len(trial(mutants(40, lambda rng: bent(content, rng)), read, REFUSED)) > 1


# Within one process that has TensorFlow: it dies of what the worker would die of, and is asked for
# the number of the mutant.
RECORDS = """
import io, json, random, sys
from pathlib import Path
import numpy as np, tensorflow as tf
from PIL import Image
sys.path.insert(0, sys.argv[2])
from fuzzing import SEED, bent
from edgekit.data.formats import records
from edgekit.errors import EdgekitError
from edgekit.types import Preprocess

folder = Path(sys.argv[1])
picture = io.BytesIO()
Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(picture, "PNG")

def feature(**kinds):
    return tf.train.Feature(**kinds)

def example(k):
    found = {"x": feature(float_list=tf.train.FloatList(value=[k, 1.0])),
             "y": feature(int64_list=tf.train.Int64List(value=[k]))}
    if k % 2:
        found = {"image/encoded": feature(bytes_list=tf.train.BytesList(
            value=[picture.getvalue()])), "y": found["y"]}
    return tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString()

rng, odd, outcomes = random.Random(SEED), [], {"read": 0, "refused": 0}
for number in range(400):
    path = folder / "d.tfrecord"
    record, packed = example(number), "GZIP" if number % 5 == 0 else ""
    if number % 3:
        record = bent(record, rng)
    with tf.io.TFRecordWriter(str(path), packed) as writer:
        writer.write(record)
    if not number % 3:
        path.write_bytes(bent(path.read_bytes(), rng))
    made = folder / f"made-{number}"
    made.mkdir()
    try:
        records.check(path)
        records.convert("d", (path,), Preprocess(color="rgb"), True, (), None, {}, made)
        outcomes["read"] += 1
    except EdgekitError as error:
        outcomes["refused"] += 1
    except BaseException as error:
        odd.append([number, type(error).__name__, str(error)[:200]])
print(json.dumps({**outcomes, "odd": odd}))
"""


@pytest.mark.slow
def test_mutated_records_are_refused_or_read(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RECORDS, tmp_path, Path(__file__).parents[1]],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["odd"] == []
    assert found["read"] > 10
    assert found["refused"] > 40


def test_the_harness_sees_what_is_no_refusal() -> None:
    def fault(number: int) -> None:
        if number == 2:
            raise KeyError("planted")

    assert trial(iter(range(2)), fault, REFUSED) == {"read": 2}
    with pytest.raises(AssertionError) as caught:
        trial(iter(range(4)), fault, REFUSED)
    assert "planted" in str(caught.value)
