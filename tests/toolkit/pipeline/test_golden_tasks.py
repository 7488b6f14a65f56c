"""Bundles of pixels, texts and labels: a model that answers otherwise makes their self-test red."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tflite_files import G, N, T, build

from conftest import answer
from edgekit.errors import BundleError
from edgekit.targets.bundles import verify

RNG = np.random.default_rng(0)
ALPHABET = "abcd"
pytestmark = pytest.mark.usefixtures("untimed")


def given_back(order: list[int], *places: int) -> bytes:
    """``x`` [1, *places, classes] given back, the classes in another order."""
    count = len(order)
    weights = np.eye(count, dtype=np.float32)[order]
    tensors = [
        T("x", [1, *places, count]),
        T("w", [count, count], data=weights),
        T("y", [1, *places, count]),
    ]
    options = {"kind": "FullyConnectedOptions", "keepNumDims": True}
    return build(
        G(tensors, [N("FULLY_CONNECTED", ["x", "w", None], ["y"], 2, options)], ["x"], ["y"])
    )


def pixels() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Masks of three classes, the last of which is one pixel in 80 pictures."""
    y = RNG.integers(0, 2, (80, 4, 4))
    y[53, 2, 2] = 2
    return np.eye(3)[y] + RNG.normal(0, 0.05, (80, 4, 4, 3)), y


def texts() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Steps whose best tokens are a text, with blanks of number 4 between."""
    tokens = RNG.integers(0, 3, (80, 4))
    tokens[31] = [0, 3, 1, 2]
    best = np.full((80, 9), 4)
    best[:, 1::2] = tokens
    labels = np.array(["".join(ALPHABET[k] for k in row) for row in tokens])
    return np.eye(5)[best] + RNG.normal(0, 0.05, (80, 9, 5)), labels


def several() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Labels of which the third is rare, each with a sigmoid's score."""
    y = (RNG.random((80, 3)) < [0.5, 0.5, 0]).astype(np.int64)
    y[77] = [1, 0, 1]
    return np.where(y, 0.9, 0.1) + RNG.normal(0, 0.02, y.shape), y


@pytest.mark.parametrize(
    ("make", "places", "count", "words"),
    [
        (pixels, (4, 4), 3, []),
        (texts, (9,), 5, ["--alphabet", ALPHABET, "--blank", "last"]),
        (several, (), 3, []),
    ],
)
def test_a_class_that_changes_places_with_another_makes_the_selftest_red(
    tmp_path: Path, make: object, places: tuple[int, ...], count: int, words: list[str]
) -> None:
    x, y = make()  # type: ignore[operator]
    np.savez(tmp_path / "test.npz", x=x.astype(np.float32), y=y)
    (tmp_path / "model.tflite").write_bytes(given_back(list(range(count)), *places))
    done = answer(
        "convert",
        "model.tflite",
        "--data",
        "test.npz",
        "--precision",
        "float32",
        *words,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (bundle,) = (tmp_path / "dist").glob("*.tar.gz")
    assert verify(bundle).selftests["litert"].startswith("passed")
    # The rare one, which a self-test of the first items would never meet.
    rare = 3 if make is texts else count - 1
    order = list(range(count))
    order[0], order[rare] = rare, 0
    with pytest.raises(BundleError) as caught:
        verify(with_model(bundle, given_back(order, *places), tmp_path / "wrong.tar.gz"))
    assert caught.value.code == "EK-BUNDLE-006"
    assert "golden outputs differ" in caught.value.hint


def with_model(bundle: Path, model: bytes, path: Path) -> Path:
    """The bundle with another model, whose digest the manifest names."""
    with tarfile.open(bundle) as archive:
        files = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    root = next(iter(files)).split("/")[0]
    files[f"{root}/model.tflite"] = model
    manifest = json.loads(files[f"{root}/manifest.json"])
    digest = hashlib.sha256(model).hexdigest()
    manifest["files"]["model.tflite"] = {"sha256": digest, "bytes": len(model)}
    files[f"{root}/manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
