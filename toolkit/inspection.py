"""A ``.tflite`` file explained, without TensorFlow: what it holds, and where it runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.inspection import (
    Inspection,
    compare,
    difference_json,
    explain,
    to_json,
)
from edgekit.models import tflite

__all__ = ["Inspection", "compare", "difference_json", "inspect", "to_json"]


def inspect(path: str | Path) -> Inspection:
    """Explain a ``.tflite`` file. Raises :class:`ModelError` where it is none, or damaged."""
    path = Path(path)
    content = tflite.content(path)
    return explain(path, flatbuffer.parse(content, str(path)), hashlib.sha256(content).hexdigest())
