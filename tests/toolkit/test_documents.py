"""The documentation's links lead to files and headings, and its names and paths exist."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgekit.plugins import GROUPS

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *ROOT.glob("*.md"),
    *(
        page
        for room in ("docs", "benchmarks", "sample_apps")
        for page in (ROOT / room).rglob("*.md")
    ),
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:toolkit|targets|converters|sample_apps|tests|benchmarks)/[\w./-]*)`")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def broken(page: Path, text: str) -> Iterator[str]:
    """Yield the links of a page's text that lead nowhere."""
    for link in LINK.findall(FENCED.sub("", text)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page if not name else (page.parent / name).resolve()
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_the_documentation_lead_somewhere(page: Path) -> None:
    assert list(broken(page, page.read_text(encoding="utf-8"))) == []


def test_a_link_to_a_page_or_a_heading_that_is_not_there_is_found() -> None:
    text = "[a](docs/gate.md#exit-codes) [b](docs/gates.md) [c](docs/gate.md#exits) [d](#more)"
    assert list(broken(ROOT / "README.md", text)) == ["docs/gates.md", "docs/gate.md#exits"]


def names(text: str) -> Iterator[str]:
    """Yield the dotted names of edgekit that a page imports or mentions in code."""
    for module, imported in re.findall(
        r"^from (edgekit[\w.]*) import ([\w, ]+)$", text, re.MULTILINE
    ):
        yield from (f"{module}.{name.strip()}" for name in imported.split(","))
    # A tag of MLflow is called alike.
    yield from re.findall(r"(?<!tag )`(edgekit(?!\.toml|\.lock)(?:\.\w+)+)(?:\(.*?\))?`", text)


def exists(name: str) -> bool:
    """Tell whether a dotted name is a module, or something in one."""
    module, _, last = name.rpartition(".")
    return bool(module) and (
        hasattr(importlib.import_module(module), last) or find_spec(name) is not None
    )


def test_names_and_paths_of_edgekit_in_the_documentation_exist() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    mentioned = sorted({*names(text)} - {*GROUPS})
    assert [name for name in mentioned if not exists(name)] == []
    assert [path for path in sorted(set(PATH.findall(text))) if not (ROOT / path).exists()] == []


def test_a_name_or_a_path_that_edgekit_does_not_have_is_found() -> None:
    assert [*names("`edgekit.inspects(path)`")] == ["edgekit.inspects"]
    assert not exists("edgekit.inspects")
    assert not exists("edgekit.converters.micro.velas")
    assert PATH.findall("`toolkit/gates/`, `toolkit/<name>/x.py`") == ["toolkit/gates/"]
