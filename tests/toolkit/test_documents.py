"""Every link between the pages of the documentation leads to a file and a heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

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
