"""A page read back as a browser reads it: its embedded JSON, its figures, its visible text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from edgekit.report import words
from edgekit.types import Measurement

# How each form of figure is written, by the words of the terminal's tables.
FORMS = {
    "bounded": lambda value: words.value(Measurement(value, "1"), True),
    "score": lambda value: words.value(Measurement(value, "1"), False),
    "points": lambda value: words.points(Measurement(value, "1"), True),
    "drop": lambda value: words.points(Measurement(value, "1"), False),
    "time": lambda value: words.duration(Measurement(value, "ns")),
    "ratio": lambda value: f"x{value:.3g}",
    "size": words.size,
    "exact": words.exact,
    "plain": lambda value: f"{value:.3g}",
    "decibel": lambda value: f"{value:.1f} dB",
    "cosine": lambda value: f"{value:.5f}",
}

# Where a bar's figure begins and how long it is, and the ends of an interval or a limit.
BAR = {"rect": ("x", "width"), "line": ("x1", "x2")}
EMPTY = ("meta", "link", "img", "br", "input", "col")


class ReadPage(HTMLParser):
    """The page's elements by tag with their attributes, its figures, and its data.

    ``checks`` are the places that show a check or a waiver: its JSON pointer under ``at``, the text
    of each part, and the places of the ``bar value``, ``bar limit`` and ``bar range``.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.figures: list[tuple[str, str, str, float]] = []
        self.checks: list[dict[str, Any]] = []
        self.visible = ""
        # Whether the open elements are in a check, and in which part of it.
        self._places: list[tuple[bool, str]] = [(False, "")]
        self._open: list[str] = []
        self._data = ""
        self.feed(text)

    @property
    def data(self) -> Any:
        """The embedded JSON."""
        return json.loads(self._data)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.elements.append((tag, found))
        if tag == "data":
            at, form = str(found["data-at"]), str(found["data-form"])
            self.figures.append((at, form, "", float(str(found["value"]))))
        inside, part = self._places[-1]
        if "data-check" in found:
            self.checks.append({"at": found["data-check"]})
            inside, part = True, ""
        if inside and tag in ("rect", "line") and found.get("class") != "track":
            places = [float(str(found[name])) for name in BAR[tag]]
            self.checks[-1].setdefault(f"bar {found['class']}", places)
        part = str(found.get("data-part", part))
        if inside and part:
            self.checks[-1].setdefault(part, "")
        if tag not in EMPTY:
            self._places.append((inside, part))
            self._open.append("json" if found.get("type") == "application/json" else tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            self._open.pop()
            self._places.pop()

    def handle_data(self, data: str) -> None:
        data = data.replace("\u00a0", " ")
        tag = self._open[-1] if self._open else ""
        if tag == "json":
            self._data += data
        elif tag not in ("script", "style"):
            self.visible += data
        inside, part = self._places[-1]
        if inside and part:
            self.checks[-1][part] += data
        if tag == "data":
            at, form, text, value = self.figures[-1]
            self.figures[-1] = (at, form, text + data, value)


def pointed(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer names."""
    for name in pointer.split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document
