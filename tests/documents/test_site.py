"""The site of the documentation: it builds, strictly, and needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What a browser fetches by itself, and is not a link to follow.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(https?:|//)[^>]*>"
    r"|<link\b[^>]*\bhref=[\"']?(https?:|//)[^>]*>|url\([\"']?https?:[^)]*\)"
)


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a repository as `make docs` does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 40
    fetched = {
        f"{page.name}: {found[0][:100]}"
        for page in pages
        for found in FETCHED.finditer(page.read_text(encoding="utf-8"))
    }
    assert fetched == set()


def test_what_a_browser_would_fetch_is_found() -> None:
    text = '<script src="https://unpkg.com/x"></script> <a href="https://keras.io">Keras</a>'
    assert [found[0] for found in FETCHED.finditer(text)] == ['<script src="https://unpkg.com/x">']


def test_a_link_that_leaves_docs_leads_to_a_file_of_the_site(site: Path) -> None:
    page = (site / "runtimes.html").read_text(encoding="utf-8")
    assert 'href="converters/runtime_versions.toml"' in page
    assert (site / "converters" / "runtime_versions.toml").is_file()
    assert "../index.html" in (site / "benchmarks" / "index.html").read_text(encoding="utf-8")


def test_links_that_lead_nowhere_stop_the_build(tmp_path: Path) -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(f"{settings}\nnav: [index.md]\n", encoding="utf-8")
    hook = Path("tests/documents/outside.py")
    (tmp_path / hook).parent.mkdir(parents=True)
    shutil.copy(ROOT / hook, tmp_path / hook)
    (tmp_path / "CONTRIBUTING.md").write_text("# Working on it\n", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    index = tmp_path / "docs" / "index.md"
    index.write_text("# Home\n[a](gone.md)\n[b](#gone)\n", encoding="utf-8")
    (tmp_path / "docs" / "left.md").write_text("# Left out\n", encoding="utf-8")
    said = build(tmp_path, tmp_path / "site")
    assert said.returncode != 0
    for fault in ("'gone.md'", "'#gone'", "left.md"):
        assert fault in said.stderr
