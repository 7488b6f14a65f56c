"""Bundles of a 300 kB model for the catalog's targets, and what a bundle adds to its files."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import Row, seconds

SECONDS = 20.0
SHARE, ALLOWANCE = 1.03, 200_000
# The compiler of the Edge TPU cannot be installed everywhere; TF Serving takes a SavedModel.
LEFT_OUT = ("coral-dev-board", "coral-usb-accelerator", "tf-serving")
# LiteRT.js takes no int8 inputs: of a browser's model the weights alone are int8.
WEB = "web-wasm"
MODEL = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
layers = [keras.layers.Dense(n, activation="relu") for n in (512, 512)]
model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, "softmax")])
model.save("model.keras")
x = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
np.savez("items.npz", x=x)
"""


def rows() -> Iterator[Row]:
    """The time of all bundles together, and the largest share that one adds."""
    edgekit = Path(sys.executable).with_name("edgekit")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        seconds([sys.executable, "-c", MODEL], folder)
        convert = ["convert", "model.keras", "--data", "items.npz", "--no-evaluate", "--quiet"]
        seconds([edgekit, *convert, "--precision", "int8", "--precision", "dynamic"], folder)
        (model,) = folder.glob("build/*/int8/model.tflite")
        (weights,) = folder.glob("build/*/dynamic*/model.tflite")
        listed = subprocess.run(
            [edgekit, "targets", "--json"], cwd=folder, capture_output=True, check=True
        )
        targets = [one["id"] for one in json.loads(listed.stdout) if one["id"] not in LEFT_OUT]
        named = [word for target in targets if target != WEB for word in ("--target", target)]
        data = ["--data", "items.npz", "--quiet"]
        taken = seconds([edgekit, "bundle", model, *data, *named], folder)
        taken += seconds([edgekit, "bundle", weights, *data, "--target", WEB], folder)
        yield Row(
            f"all bundles of a {model.stat().st_size / 1000:.0f} kB model, {len(targets)} targets"
            " (without Edge TPU and TF Serving)",
            f"{SECONDS:.0f} s",
            f"{taken:.1f} s",
            taken < SECONDS,
        )
        yield _largest(sorted(folder.glob("dist/*.tar.gz")))


def _largest(bundles: list[Path]) -> Row:
    """What the bundle adds that adds most to its model, golden pairs and app, packed."""
    worst, name = 0.0, ""
    for bundle in bundles:
        with tarfile.open(bundle) as archive:
            parts = sum(member.size for member in archive)
        over = bundle.stat().st_size / (SHARE * parts + ALLOWANCE)
        if over > worst:
            worst, name = over, bundle.name
    return Row(
        "the largest bundle beside its files' bytes",
        "3 % and 200 kB larger",
        f"{worst:.2f} of that ({name})",
        worst <= 1,
    )


if __name__ == "__main__":
    for row in rows():
        print(row)
