"""The shipped recipes as a user runs them: how well they learn, and how long that takes.

Needs EDGEKIT_TEST_DATA for Fashion-MNIST, which is written as pictures in a folder per class into
the recipe of pictures; nothing else of it is changed. `--write` puts the table into README.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rows import Row, machine, replace_block

README = Path(__file__).resolve().with_name("README.md")
START, END = "<!-- recipes -->", "<!-- end of recipes -->"
EDGEKIT = Path(sys.executable).with_name("edgekit")
NAMES = "T-shirt Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Boot".split()


def write_pictures(data: Path, folder: Path) -> None:
    """Write Fashion-MNIST as PNG files into a folder per class."""
    for part in ("train", "test"):
        arrays = np.load(data / "fashion_mnist" / f"fashion_{part}.npz")
        for name in NAMES:
            (folder / part / name).mkdir(parents=True)
        for number, (pixels, label) in enumerate(zip(arrays["x"], arrays["y"], strict=True)):
            Image.fromarray(pixels).save(folder / part / NAMES[label] / f"{number:05d}.png")


def run(folder: Path, *words: str) -> str:
    """Run edgekit in a folder; what it wrote on stdout."""
    command = [EDGEKIT, *words]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def learned(folder: Path, name: str) -> tuple[float, float]:
    """Train a project, from reading its data on; seconds, and the share of test items right."""
    begin = time.perf_counter()
    run(folder, "train", "--quiet")
    seconds = time.perf_counter() - begin
    said = run(
        folder, "evaluate", f"build/{name}/saved_model", "--project", "edgekit.toml", "--json"
    )
    (model,) = json.loads(said)["models"]
    return seconds, model["metric"]["value"]


def rows() -> Iterator[Row]:
    """The example at 97 % within a minute, Fashion-MNIST at 91 % within fifteen."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        run(folder, "init", "digits")
        yield row("the example, handwritten digits", *learned(folder / "digits", "digits"), 97, 1)
        run(folder, "init", "images", "--recipe", "images")
        shutil.rmtree(folder / "images" / "pictures")
        data = Path(os.environ["EDGEKIT_TEST_DATA"])
        write_pictures(data, folder / "images" / "pictures")
        what = "`--recipe images` on Fashion-MNIST, 70,000 pictures in folders"
        yield row(what, *learned(folder / "images", "images"), 91, 15)


def row(what: str, seconds: float, accuracy: float, percent: int, minutes: int) -> Row:
    """Say what was reached, and whether both bars are kept."""
    return Row(
        f"{what}: accuracy on the test items, whole `edgekit train`",
        f"at least {percent} % in {minutes} min",
        f"{100 * accuracy:.2f} % in {seconds:.0f} s (load {os.getloadavg()[0]:.1f} at its end)",
        100 * accuracy >= percent and seconds <= 60 * minutes,
    )


if __name__ == "__main__":
    lines = [machine(), "", "| what | bar | measured | kept |", "| --- | --- | --- | --- |"]
    for one in rows():
        lines.append(
            f"| {one.what} | {one.bar} | {one.measured} | {'yes' if one.kept else '**no**'} |"
        )
        print(lines[-1], flush=True)
    if "--write" in sys.argv[1:]:
        replace_block(README, START, END, lines)
