"""The pages that code has say what the code says, and explain every key and option."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from key_reference import EXAMPLE_NAMES, Key, Place, places
from pages import FOLDER, PAGES

from edgekit.errors import ProjectError
from edgekit.project import Project
from edgekit.targets import catalog

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    said = (FOLDER / name).read_text(encoding="utf-8")
    assert said == PAGES[name](), "stale: run `python tests/documents/pages.py`"


def every_key() -> Iterator[tuple[Place, Key]]:
    return ((place, key) for place in places() for key in place.keys)


def test_every_key_is_explained_and_has_an_example() -> None:
    unexplained = [
        f"{place.path}.{key.name}"
        for place, key in every_key()
        if len(key.what) < 8 or not key.what.endswith(".") or not key.example
    ]
    assert unexplained == []


def test_every_example_sets_its_key_and_is_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")
    own = re.search(r"^```toml\n(title.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert own
    (tmp_path / "solar-roof.toml").write_text(own[1], encoding="utf-8")
    refused = {}
    for place, key in every_key():
        assert any(line.split(" = ")[0] == key.name for line in key.example), key
        if why := refusal(tmp_path, place, key):
            refused[f"{place.path}.{key.name}"] = why
    catalog.remove("solar-roof")
    assert refused == {}


def test_an_example_that_the_loader_refuses_is_found(tmp_path: Path) -> None:
    place = next(place for place in places() if place.path == "train")
    key = Key("epochs", place.keys[0].field, int, "Often.", ("epochs = 0",))
    assert "greater than or equal to 1" in refusal(tmp_path, place, key)


def refusal(folder: Path, place: Place, key: Key) -> str:
    """Return why the loader refuses a key's example, alone or beside its table's first key."""
    needed = [line for other in place.keys if other.field.is_required() for line in other.example]
    first = [*place.keys[0].example]
    why = ""
    for beside in (needed, [*needed, *first]):
        lines = [*(line for line in beside if line not in key.example), *key.example]
        file = folder / "edgekit.toml"
        text = text_of(place, lines)
        # A file describes a target that edgekit has not.
        text = text.replace("raspberry-pi-4", "solar-roof") if key.name == "file" else text
        file.write_text(text, encoding="utf-8")
        try:
            Project.load(file)
        except ProjectError as error:
            why = why or str(error)
        else:
            return ""
    return why


def text_of(place: Place, lines: list[str]) -> str:
    """Return a project file with these lines in a table."""
    if not place.path:
        return "\n".join(lines)
    path = place.path
    for table, name in EXAMPLE_NAMES.items():
        path = path.replace(f"{table}.NAME", f"{table}.{name}")
    header = f"[[{path}]]" if place.repeated else f"[{path}]"
    # A model that only others need.
    model = "" if path == "model" else '[model]\nsource = "model.keras"\n'
    device = '[devices.pi4]\naddress = "adb://"\n' if path == "devices.pi4.budgets" else ""
    return "\n".join([model, device, header, *lines])
