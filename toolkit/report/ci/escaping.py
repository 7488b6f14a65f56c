"""Texts of any hand inside Markdown, XML and the annotations of a CI system."""

from __future__ import annotations

import re

LONGEST = 2000
# What XML 1.0 cannot hold at all, and no reader wants: control characters and lone surrogates.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
ESCAPE_SEQUENCE = re.compile("\x1b\\[[0-9;?]*[ -/]*[@-~]")
# Characters that mean something anywhere in a line of Markdown.
ACTIVE = re.compile(r"([\\`*\[\]|~$])")
# Code whose every character stands for itself, in a table too.
CODE = re.compile(r"`([^`\n|\\]+)`")
# An underscore inside a word is one; elsewhere it emphasizes.
EMPHASIS = re.compile(r"(?<!\w)_|_(?!\w)")
# GitHub makes a mention, or a link to an issue, of these.
REFERENCE = re.compile(r"(?<!\w)([@#])(?=\w)")
# What begins a list or a heading at the start of a line.
FIRST = re.compile(r"^(\s*\d*)([-+.)]|#+)(?=\s)")


def plain_text(text: str) -> str:
    """Return a text that any format can hold: without control characters, and not without end."""
    text = ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def markdown(text: str) -> str:
    """Return a text as Markdown shows it, on one line: no markup of its own has an effect.

    Except for what stands in backquotes, a command or a key, which is shown as code.
    """
    parts = CODE.split(plain_text(text).strip("\n"))
    # Every second part is what stood in backquotes.
    shown = (f"`{part}`" if at % 2 else _inert(part) for at, part in enumerate(parts))
    return FIRST.sub(r"\1\\\2", "".join(shown))


def _inert(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = ACTIVE.sub(r"\\\1", text)
    text = EMPHASIS.sub(r"\\_", text)
    return REFERENCE.sub(r"\1<!-- -->", text).replace("\n", "<br>")


def annotation(text: str) -> str:
    """Return the message of a GitHub annotation."""
    text = plain_text(text)
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def annotation_property(text: str) -> str:
    """Return the value of a property of a GitHub annotation."""
    return annotation(text).replace(":", "%3A").replace(",", "%2C")
