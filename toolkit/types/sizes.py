"""Sizes as people write them: a number and a unit."""

from __future__ import annotations

import re

SIZES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
SIZES |= {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
PATTERN = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(SIZES)})")


def parse_size(text: str) -> int:
    """Return a size such as ``256 KiB`` (1024) or ``150 kB`` (1000), in bytes.

    Raises :class:`ValueError` for anything else.
    """
    match = PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size: write a number and one of {', '.join(SIZES)}")
    return round(float(match[1]) * SIZES[match[2]])
