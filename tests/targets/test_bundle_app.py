"""The app of a Linux bundle: its self-test sees planted faults, and it classifies items."""

from __future__ import annotations

import importlib.util
import io
import itertools
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_files import listed, read, refusal, write
from PIL import Image

from conftest import edgekit, once
from edgekit.converters.quantization import editing
from edgekit.targets.bundles.archive import MANIFEST

RUNTIMES = [
    "litert",
    pytest.param(
        "tflite-runtime",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("tflite_runtime") is None,
            reason="tflite-runtime has no wheel for this Python",
        ),
    ),
]


@pytest.fixture(scope="session")
def unpacked(shared: Path, bundle: Path) -> Path:
    """Its one folder, unpacked. Read only."""

    def make(folder: Path) -> None:
        with tarfile.open(bundle) as archive:
            archive.extractall(folder)  # noqa: S202  (our own)

    (root,) = once(shared / "unpacked-bundle", make).iterdir()
    return root


def app(folder: Path, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a bundle's app as its README says, with this interpreter."""
    return subprocess.run(
        [sys.executable, "app.py", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_app_passes_its_selftest(unpacked: Path, runtime: str) -> None:
    done = app(unpacked, "selftest", "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    assert f"on {runtime} " in done.stdout
    assert "self-test passed on 10 golden items" in done.stdout


def test_app_fails_its_selftest_when_a_golden_output_is_changed(
    unpacked: Path, tmp_path: Path
) -> None:
    folder = copied(unpacked, tmp_path)
    (output,) = folder.glob("golden/output_*.npy")
    np.save(output, np.load(output) + 0.25)
    done = app(folder, "selftest")
    assert done.returncode == 1
    assert "self-test FAILED" in done.stdout


def test_selftest_goes_red_when_any_two_classes_change_places(
    bundle: Path, unpacked: Path, tmp_path: Path
) -> None:
    manifest = json.loads((unpacked / MANIFEST).read_text())
    (golden,) = manifest["golden"]["outputs"].values()
    values = np.load(unpacked / golden["file"])
    assert set(values.argmax(axis=1)) == set(range(10)), "a golden item of every class"
    for pair in itertools.combinations(range(10), 2):
        swapped = values.copy()
        swapped[:, pair] = swapped[:, pair[::-1]]
        assert np.abs(swapped - values).max() > golden["tolerance"], pair
    content = io.BytesIO()
    np.save(content, swapped)
    files = listed({**read(bundle), golden["file"]: content.getvalue()})
    assert refusal(write(tmp_path / "swapped.tar.gz", files)).code == "EK-BUNDLE-006"


def swapped_classes(content: bytes) -> bytes:
    """The model with the first two rows of its last dense layer, and of its bias, exchanged."""
    model = editing.unpack(content)
    last = [
        step.operator for step in editing.main_operators(model) if step.kind == "FULLY_CONNECTED"
    ][-1]
    for position in (1, 2):
        tensor = model.subgraphs[0].tensors[last.inputs[position]]
        rows = editing.constant(model, tensor)
        assert rows is not None
        rows[[0, 1]] = rows[[1, 0]]
        editing.set_input(model, last, position, rows)
        found = tensor.quantization
        if found is not None and found.scale is not None and len(found.scale) > 1:
            found.scale[[0, 1]] = found.scale[[1, 0]]
    return editing.pack(model)


def test_verify_and_the_app_go_red_when_the_model_exchanges_two_classes(
    bundle: Path, unpacked: Path, tmp_path: Path
) -> None:
    files = read(bundle)
    model = swapped_classes(files["model.tflite"])
    found = edgekit(
        "verify",
        write(tmp_path / "swapped.tar.gz", listed({**files, "model.tflite": model})),
        cwd=tmp_path,
    )
    assert found.returncode == 1
    assert "EK-BUNDLE-006" in found.stderr
    folder = copied(unpacked, tmp_path)
    (folder / "model.tflite").write_bytes(model)
    done = app(folder, "selftest")
    assert done.returncode == 1
    assert "self-test FAILED" in done.stdout


EXCHANGING = """
def decode(value, info):
    numbers = plain_decode(value, info)
    numbers[..., [0, 1]] = numbers[..., [1, 0]]
    return numbers


"""


def test_the_app_goes_red_when_its_code_exchanges_two_classes(
    unpacked: Path, tmp_path: Path
) -> None:
    folder = copied(unpacked, tmp_path)
    code = (folder / "python_runner.py").read_text()
    planted = code.replace("def decode(", f"{EXCHANGING}def plain_decode(", 1)
    assert planted != code
    (folder / "python_runner.py").write_text(planted)
    done = app(folder, "selftest")
    assert done.returncode == 1
    assert "self-test FAILED" in done.stdout


def test_selftest_goes_red_when_two_labels_change_places(
    bundle: Path, unpacked: Path, tmp_path: Path
) -> None:
    def swap(manifest: dict[str, Any]) -> None:
        labels = manifest["labels"]
        labels[3], labels[7] = labels[7], labels[3]

    files = listed(read(bundle), swap)
    caught = refusal(write(tmp_path / "swapped.tar.gz", files))
    assert caught.code == "EK-BUNDLE-006"
    assert "the labels do not give the golden items' answers" in caught.message
    folder = copied(unpacked, tmp_path)
    (folder / MANIFEST).write_bytes(files[MANIFEST])
    done = app(folder, "selftest")
    assert done.returncode == 1
    assert "is 3, and would be called 7" in done.stdout
    assert "self-test FAILED" in done.stdout


def copied(unpacked: Path, tmp_path: Path) -> Path:
    """A copy to write in."""
    return Path(shutil.copytree(unpacked, tmp_path / "copy"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_app_prints_its_latency(unpacked: Path, runtime: str) -> None:
    done = app(unpacked, "bench", "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("latency")]
    words = line.split()
    assert words[1] == "p50"
    assert 0 < float(words[2]) <= float(words[5])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_app_classifies_digits(unpacked: Path, digits: Path, tmp_path: Path, runtime: str) -> None:
    test = np.load(digits / "test.npz")
    np.save(tmp_path / "items.npy", test["x"][:30])
    done = app(unpacked, "classify", tmp_path / "items.npy", "--top", 1, "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    named = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("item ")]
    assert len(named) == 30
    assert np.mean(np.array(named) == test["y"][:30].astype(str)) > 0.85


def test_app_records_nothing_but_counts_in_the_bins_of_its_golden_items(
    unpacked: Path, digits: Path, tmp_path: Path
) -> None:
    items = np.load(digits / "test.npz")["x"]
    np.save(tmp_path / "items.npy", items)
    done = app(unpacked, "classify", tmp_path / "items.npy", "--record", tmp_path / "records")
    assert done.returncode == 0, done.stderr
    (line,) = (tmp_path / "records" / "records.jsonl").read_text().splitlines()
    record = json.loads(line)
    golden = json.loads((unpacked / "monitoring.json").read_text())
    assert record["golden"] == golden["digest"]
    assert record["n"] == len(items) >= golden["items"]
    for feature in golden["features"]:
        counted = record["features"][feature["name"]]
        if feature["side"] == "input":
            # Most of them are the items that were judged.
            shares = np.array([counted["counts"], feature["counts"]], float)
            shares /= shares.sum(axis=1, keepdims=True)
            assert np.abs(np.diff(shares, axis=0)).max() < 0.05, feature["name"]
        assert sum(counted["counts"]) == len(items)
    assert sum(record["classes"].values()) == len(items)
    assert len(line) < 6000


def test_verify_refuses_golden_statistics_that_are_damaged(bundle: Path, tmp_path: Path) -> None:
    files = dict(read(bundle))
    golden = json.loads(files["monitoring.json"])
    golden["features"][0]["counts"][0] += 1
    files["monitoring.json"] = json.dumps(golden).encode()
    error = refusal(write(tmp_path / "changed.tar.gz", listed(files)))
    assert error.code == "EK-BUNDLE-004"
    assert "monitoring.json" in error.message


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8), (64,), (1, 8, 8, 1)])
def test_app_classifies_a_single_item_in_any_of_its_shapes(
    unpacked: Path, digits: Path, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    np.save(tmp_path / "item.npy", np.load(digits / "test.npz")["x"][0].reshape(shape))
    done = app(unpacked, "classify", tmp_path / "item.npy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("item ") == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing", "missing.npy"),
        ("wide", "[8, 8, 1]"),
        ("flat", "[8, 8, 1]"),
        ("scalar", "[8, 8, 1]"),
        ("empty", "no items"),
        ("text", "pickle"),
        ("words", "<U5"),
        ("npz", ".npy"),
        ("folder", "directory"),
    ],
)
def test_app_says_in_one_line_what_is_wrong_with_the_items(
    unpacked: Path, tmp_path: Path, fault: str, said: str
) -> None:
    path = tmp_path / "items.npy"
    arrays = {
        "wide": np.zeros((3, 9, 8, 1), np.uint8),
        "flat": np.zeros(63),
        "scalar": np.float32(1),
        "empty": np.zeros((0, 8, 8, 1), np.uint8),
        "words": np.full((2, 8, 8, 1), "seven"),
    }
    if fault in arrays:
        np.save(path, arrays[fault])
    elif fault == "text":
        path.write_text("not an array")
    elif fault == "npz":
        with path.open("wb") as file:
            np.savez(file, x=np.zeros((2, 8, 8, 1)))
    elif fault == "folder":
        path.mkdir()
    else:
        path = tmp_path / "missing.npy"
    done = app(unpacked, "classify", path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_app_classifies_pictures_as_it_does_their_pixels(
    unpacked: Path, digits: Path, tmp_path: Path, suffix: str
) -> None:
    items = np.load(digits / "test.npz")["x"][:3].reshape(3, 8, 8)
    np.save(tmp_path / "items.npy", items)
    paths = [tmp_path / f"{number}.{suffix}" for number in range(3)]
    for path, item in zip(paths, items, strict=True):
        Image.fromarray(item.astype(np.uint8)).save(path)
    done = app(unpacked, "classify", *paths)
    assert done.returncode == 0, done.stderr
    assert done.stdout == app(unpacked, "classify", tmp_path / "items.npy").stdout
    assert "measured on arrays, not on pictures" in done.stderr


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["cut.png"], "cannot be read as a picture"),
        (["deep.png"], "more than 8 bits"),
        (["missing.jpg"], "missing.jpg"),
        (["photo.heic"], "a picture (.png"),
        (["fine.png", "items.npy"], "one .npy file, or pictures alone"),
    ],
)
def test_app_says_which_picture_it_cannot_take(
    unpacked: Path, tmp_path: Path, names: list[str], said: str
) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "fine.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "fine.png").read_bytes()[:40])
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "photo.heic").write_bytes(b"ftypheic")
    done = app(unpacked, "classify", *(tmp_path / name for name in names))
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_app_names_pillow_where_it_is_missing(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules.update(PIL=None)\n")
    bare = {"PYTHONPATH": str(tmp_path), "PATH": ""}
    done = app(unpacked, "classify", tmp_path / "photo.jpg", env=bare)
    assert done.returncode == 1
    assert "pip install pillow" in done.stderr
    assert "Traceback" not in done.stderr
    assert app(unpacked, "selftest", env=bare).returncode == 0


def test_app_refuses_a_runtime_that_the_target_does_not_name(unpacked: Path) -> None:
    done = app(unpacked, "classify", "items.npy", "--runtime", "nonsense")
    assert done.returncode == 2
    assert "litert" in done.stderr
    assert "Traceback" not in done.stderr


def test_app_names_every_runtime_that_is_missing(unpacked: Path, tmp_path: Path) -> None:
    bare = "import sys; sys.modules.update(ai_edge_litert=None, tflite_runtime=None)\n"
    (tmp_path / "sitecustomize.py").write_text(bare)
    done = app(unpacked, "selftest", env={"PYTHONPATH": str(tmp_path), "PATH": ""})
    assert done.returncode == 1
    assert "pip install ai-edge-litert" in done.stderr
    assert "tflite-runtime" in done.stderr
    assert "Traceback" not in done.stderr
