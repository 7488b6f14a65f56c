"""The example project: a small CNN on scikit-learn's handwritten digits."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import ProjectError
from edgekit.store import place

FOLDER = Path(__file__).resolve().parent / "digits"
FILES = ("edgekit.toml", "model.py", "data.py")


def write_project(folder: Path, force: bool = False) -> Path:
    """Copy the example's files into ``folder``.

    Raises :class:`ProjectError` where one is there already, unless ``force``.
    """
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        hint = "choose another folder, or use --force to overwrite"
        raise ProjectError("EK-INIT-001", f"{folder} already holds {', '.join(there)}", hint)
    for name in FILES:
        place(FOLDER / name, folder / name)
    return folder
