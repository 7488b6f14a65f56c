"""What the languages' modules share: the fixed library files, and constants written as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import numpy as np

from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.processing.spec import Spec

LIBRARIES = FOLDER / "processing"
MADE_BY = "Made by edgekit for {name}: do not edit, it is written anew with each bundle."


def library(language: str, spec: Spec, names: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files of a language's library that the spec uses; ``names`` is a file by part."""
    return {names[part]: (LIBRARIES / language / names[part]).read_bytes() for part in spec.parts}


def short_float(value: float) -> str:
    """Return the shortest text that reads as this float32: ``0.003921569``."""
    text = str(np.float32(value))
    return text if "." in text or "e" not in text else text.replace("e", ".0e")


def exact_float(value: float) -> str:
    """Return a float32 as a language of doubles reads it."""
    return repr(float(np.float32(value)))


def quoted(text: str) -> str:
    """Return text in double quotes as JSON has it, in ASCII."""
    return json.dumps(text)


def joined(values: Iterable[str]) -> str:
    return ", ".join(values)
