"""A hook of MkDocs: what lies outside docs/ and is linked from there becomes part of the site."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
# The site begins where the repository does.
HOME = {"README.md": "index.md"}
# In the site though no page of docs/ leads there.
ALWAYS = ("CONTRIBUTING.md",)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/ that a page of the site links to."""
    waiting = [ROOT / name for name in ALWAYS]
    waiting += [Path(str(file.abs_src_path)) for file in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        for target in (page, *_targets(page)):
            uri = site_uri(target)
            if files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(target)))
                if target.suffix == ".md":
                    waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page, which are those of the repository, at the site's own files."""
    source = Path(str(page.file.abs_src_path))
    here = PurePosixPath(page.file.src_uri).parent

    def moved(link: re.Match[str]) -> str:
        target = _target(source, link[2])
        if target is None:
            return link[0]
        return f"{link[1]}{os.path.relpath(site_uri(target), here)}{link[3]}"

    return _outside_fences(markdown, lambda text: LINK.sub(moved, text))


def site_uri(target: Path) -> str:
    """Return where a file of the repository lies in the site."""
    inside = target.is_relative_to(DOCS)
    uri = target.relative_to(DOCS if inside else ROOT).as_posix()
    return uri if inside else HOME.get(uri, uri)


def _targets(page: Path) -> Iterator[Path]:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.finditer(text):
        if (target := _target(page, link[2])) is not None:
            yield target


def _target(page: Path, link: str) -> Path | None:
    """Return the file of the repository that a link leads to; None for any other link."""
    if "://" in link:
        return None
    target = (page.parent / link).resolve()
    return target if target.is_file() and target.is_relative_to(ROOT) else None


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts = FENCED.split(markdown)
    return "".join(part if part.startswith("```") else change(part) for part in parts)
