"""Write the pages that code has: ``python tests/documents/pages.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import command_reference
import key_reference
import python_reference

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": command_reference.page,
    "edgekit-toml.md": key_reference.page,
    "python.md": python_reference.page,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
