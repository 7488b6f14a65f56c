"""Break lines where a reader would: between words, never inside a figure or before its unit."""

from __future__ import annotations

import re
import textwrap
import unicodedata

# Stands for a space that is not a place to break at; textwrap leaves it alone.
BOUND = "\N{NO-BREAK SPACE}"
UNITS = "%|B|kB|MB|GB|KiB|MiB|GiB|ns|µs|ms|s|min|h|dB|points?|pt|bytes|items|kHz|MHz|GHz|Hz|°C"
_UNIT = re.compile(rf"(?<=[\d)\]]) (?=(?:{UNITS})(?![A-Za-z]))")
_INTERVAL = re.compile(r"[\[(][-+±∞\d., ]+[\])]")
# What a name is made of; a hyphen is a place to break at only where a name is long.
_PARTS = re.compile(r"[^/@_\s]*[/@_\s]?")
_FINER = re.compile(r"[^/@_\s-]*[/@_\s-]?")
LONG = 32
# A line of text is no longer, however wide the terminal.
WIDTH = 100


def bound(text: str) -> str:
    """Bind figures to their units, and the two ends of an interval."""
    text = _INTERVAL.sub(lambda found: found.group().replace(" ", BOUND), text)
    return _UNIT.sub(BOUND, text)


def wrapped(text: str, width: int, indent: str = "", further: str | None = None) -> list[str]:
    """Wrap a text between words: a word that is longer than the width, such as a path, is whole."""
    lines = textwrap.wrap(
        bound(text),
        max(width, 1),
        initial_indent=indent,
        subsequent_indent=indent if further is None else further,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(BOUND, " ") for line in lines] or [""]


def folded(text: str, width: int) -> list[str]:
    """Wrap a text so that no line is longer: words between blanks, longer ones at their parts."""
    lines: list[str] = []
    for line in wrapped(text, width):
        lines += [line] if cells(line) <= width else broken(line, width)
    return lines


def broken(name: str, width: int) -> list[str]:
    """Break a name after a slash, ``@`` or ``_``; where it is long, also after a hyphen."""
    if cells(name) <= width:
        return [name]
    lines = [""]
    for part in parts(name):
        if lines[-1] and cells(lines[-1] + part.rstrip()) > width:
            lines.append("")
        while cells(part.rstrip()) > width:
            # Nothing in it is a place to break at.
            lines[-1:] = [part[:width], ""]
            part = part[width:]
        lines[-1] += part
    return [line.rstrip() for line in lines if line.strip()]


def parts(name: str) -> list[str]:
    """Return the pieces that a name may be broken into."""
    pattern = _FINER if cells(name) > LONG else _PARTS
    return [part for part in pattern.findall(name) if part]


def longest_part(name: str) -> int:
    """Return the width of the widest piece that a name may be broken into."""
    return max((cells(part.rstrip()) for part in parts(name)), default=0)


def longest_word(text: str) -> int:
    """Return the width of the widest word, or figure with its unit."""
    return max((cells(word) for word in re.split(r"[ \n]+", bound(text))), default=0)


def cells(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    # Letters of the Far East take two, accents that combine none.
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def laid_out(text: str, width: int | None) -> list[str]:
    """Wrap the lines of a text between words, and indent what follows; as it is without a width."""
    lines = text.splitlines() or [""]
    if width is None or all(len(line) <= min(width, WIDTH) for line in lines):
        return lines
    shown: list[str] = []
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        shown += wrapped(line.lstrip(), min(width, WIDTH), indent, f"{indent}  ")
    return shown
