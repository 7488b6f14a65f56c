"""Projects to begin with: a small one for each kind of data, as ``edgekit init`` writes them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ProjectError
from edgekit.store import place

ROOT = Path(__file__).resolve().parent
MAKER = "data.py"
DEFAULT = "digits"


@dataclass(frozen=True)
class Recipe:
    """A project: what it is of, its files, and what its ``data.py`` then makes, if anything."""

    title: str
    files: tuple[str, ...]
    made: tuple[str, ...] = ()


FILES = ("edgekit.toml", "model.py", MAKER)
RECIPES: Mapping[str, Recipe] = {
    "digits": Recipe("handwritten digits, as arrays that a function returns", FILES),
    "images": Recipe("pictures in a folder per class", FILES, ("pictures",)),
    "audio": Recipe("sounds in a folder per class, log-mel in the model", FILES, ("sounds",)),
    "csv": Recipe(
        "a table with numbers and categories", (*FILES, "penguins.csv"), ("train.csv", "test.csv")
    ),
    "segmentation": Recipe("a class for each pixel", FILES, ("train.npz", "test.npz")),
}


def write_project(folder: Path, force: bool = False, recipe: str = DEFAULT) -> Path:
    """Copy a recipe's files into ``folder``, and make its data unless it is there.

    Raises :class:`ProjectError` where one of the files is there already, unless ``force``, and
    where the data cannot be made.
    """
    chosen = RECIPES[recipe]
    there = [name for name in chosen.files if (folder / name).exists()]
    if there and not force:
        hint = "choose another folder, or use --force to overwrite"
        raise ProjectError("EK-INIT-001", f"{folder} already holds {', '.join(there)}", hint)
    for name in chosen.files:
        place(ROOT / recipe / name, folder / name)
    # What lies there may be the user's own.
    if chosen.made and not any((folder / name).exists() for name in chosen.made):
        _make_data(folder)
    return folder


def _make_data(folder: Path) -> None:
    """Run the recipe's ``data.py``. Raises :class:`ProjectError` with what it said at last."""
    done = subprocess.run(
        [sys.executable, MAKER], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        message = f"{folder / MAKER} could not make the data: {last}"
        hint = "the files of the project are written: mend what it says, and run data.py there"
        raise ProjectError("EK-INIT-002", message, hint)
