"""A ``.tflite`` file explained, without TensorFlow: what it holds, and which targets it fits.

``fit.py`` judges by tables, and by what was tried; ``trial.py`` tries, in processes of their own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.inspection import Inspection, explain
from edgekit.inspection.fit import RuntimeFit, TargetFit, fits, fits_json
from edgekit.inspection.trial import NOTHING, Trials, try_everywhere
from edgekit.models import tflite

__all__ = [
    "NOTHING",
    "RuntimeFit",
    "TargetFit",
    "Trials",
    "fits",
    "fits_json",
    "inspect",
    "try_everywhere",
]


def inspect(path: str | Path) -> Inspection:
    """Explain a ``.tflite`` file. Raises :class:`ModelError` where it is none, or damaged."""
    path = Path(path)
    content = tflite.content(path)
    return explain(path, flatbuffer.parse(content, str(path)), hashlib.sha256(content).hexdigest())
