"""The page around the sections: one file that holds its style, its scripts and its data."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

from edgekit.report import words
from edgekit.report.table import MARKS
from edgekit.types import Json, Status

if TYPE_CHECKING:
    import jinja2

HERE = files("edgekit.report.html")
LIBRARIES = ("vendor/d3.min.js", "vendor/plot.min.js")
SCRIPTS, DRAWING, STYLE = ("page.js", "stacks.js"), "charts.js", "page.css"
# In JSON these can only stand in a string: there each may be written as an escape.
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
# Between a figure and its unit a line does not end.
UNIT = re.compile(r"(?<=\d) (?=[^\W\d]|%)")
# What is written small at the start of a sentence, too.
SMALL = re.compile(r"(edgekit|tflm|tflite|litert|tf)\b")
# A sign beside the word, so that colour alone never tells.
SIGNS = {
    Status.PASSED: ("good", "✓"),
    Status.FAILED: ("bad", "✕"),
    Status.INCOMPATIBLE: ("bad", "✕"),
    Status.UNAVAILABLE: ("doubt", "∅"),
    Status.INCONCLUSIVE: ("doubt", "?"),
    Status.NOT_EVALUATED: ("doubt", "–"),
    Status.WAIVED: ("doubt", "!"),
}


@dataclass(frozen=True)
class Badge:
    """A status as a page shows it: its word, a sign, and whether that is good, bad or in doubt."""

    word: str
    sign: str
    kind: str


@dataclass(frozen=True)
class Section:
    """A part of a page: its anchor, its title, the template that draws ``data``.

    Without a template only ``absent`` stands there, which says why, and what would fill it.
    """

    anchor: str
    title: str
    template: str = ""
    data: object = None
    absent: str = ""


@dataclass(frozen=True)
class Page:
    """A page: its titles, its verdict, its sections, and the ``charts`` that the script draws.

    ``charts`` and ``pictures`` (PNGs in base64) are embedded as JSON; a template names one by
    ``data-chart`` or ``data-picture``.
    """

    title: str
    subtitle: str
    badge: Badge
    sections: tuple[Section, ...]
    footer: str
    charts: Mapping[str, Json] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)


def badge(status: Status) -> Badge:
    """Return a status as a page shows it."""
    kind, sign = SIGNS[status]
    return Badge(MARKS[status][0].lower(), sign, kind)


def render(page: Page) -> str:
    """Return the page as one HTML document."""
    drawing = (*LIBRARIES, DRAWING) if page.charts or page.pictures else ()
    scripts = [_read(name) for name in (*SCRIPTS, *drawing)]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            style=_read(STYLE),
            scripts=scripts,
            policy=_policy(scripts),
            data=embedded({"charts": page.charts, "pictures": page.pictures}),
            licences=[_read(name.replace(".min.js", ".LICENSE.txt")) for name in drawing[:-1]],
        )
    )


def embedded(document: Json) -> str:
    """Return JSON that ends no script element, whatever names stand in it."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character, escape in ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _policy(scripts: list[str]) -> str:
    """Return the content security policy: nothing is loaded, and only these scripts run.

    Plot writes a style element into each chart, which a list of hashes would refuse.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


@functools.cache
def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _read(f"templates/{name}")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = _sentence
    environment.filters["whole"] = lambda text: UNIT.sub("\u00a0", text)
    environment.filters["short"] = lambda value: words.number(value, 3)
    return environment


def _sentence(text: str) -> str:
    """Return a message with a capital, and what stands in backticks as code."""
    import markupsafe

    parts = (text if SMALL.match(text) else text[:1].upper() + text[1:]).split("`")
    if not len(parts) % 2:
        return text
    shown = [
        markupsafe.Markup("<code>{}</code>").format(part) if at % 2 else markupsafe.escape(part)
        for at, part in enumerate(parts)
    ]
    return markupsafe.Markup("").join(shown)


def asset(name: str) -> str:
    """Return one of the files that pages are made of."""
    return _read(name)


def policy(scripts: list[str]) -> str:
    """Return a content security policy by which only these scripts run."""
    return _policy(scripts)


def template(name: str) -> jinja2.Template:
    """Return a template, in which all text is escaped."""
    return _environment().get_template(name)
