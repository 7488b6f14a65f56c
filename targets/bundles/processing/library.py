"""What the languages' modules share: the fixed library files, and constants written as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.processing.spec import Spec
from edgekit.types import BoxesSpec

LIBRARIES = FOLDER / "processing"
ANCHORS_A_LINE = 100
MADE_BY = "Made by edgekit for {name}: do not edit, it is written anew with each bundle."


def library(language: str, spec: Spec, names: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files of a language's library that the spec uses; ``names`` is a file by part."""
    return {names[part]: (LIBRARIES / language / names[part]).read_bytes() for part in spec.parts}


def short_float(value: float) -> str:
    """Return the shortest text that reads as this float32: ``0.003921569``."""
    text = str(np.float32(value))
    return text if "." in text or "e" not in text else text.replace("e", ".0e")


def quoted(text: str, escape: Callable[[str], str], special: str) -> str:
    """Return text in double quotes, in ASCII: what is not plain, or ``special``, is escaped."""
    plain = (c if " " <= c <= "~" and c not in special else escape(c) for c in text)
    return f'"{"".join(plain)}"'


def anchor_lines(boxes: BoxesSpec) -> list[str]:
    """Return a detector's anchors as lines of numbers: as code they may be too much of it."""
    rows = [" ".join(map(short_float, row)) for row in boxes.anchors]
    starts = range(0, len(rows), ANCHORS_A_LINE)
    return [" ".join(rows[start : start + ANCHORS_A_LINE]) for start in starts]


def joined(values: Iterable[str]) -> str:
    """Return values as a list in any of the languages."""
    return ", ".join(values)
