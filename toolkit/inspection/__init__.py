"""A ``.tflite`` file explained, without TensorFlow: what it holds, and which targets it fits.

``fit.py`` judges by tables, and by what was tried; ``trial.py`` tries, in processes of their own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.inspection import Inspection, explain
from edgekit.converters.signature import chosen_signature, extract_signature
from edgekit.inspection.cells import Cell
from edgekit.inspection.fit import RuntimeFit, TargetFit, fits, fits_json
from edgekit.inspection.limits import FileLimits, check_file
from edgekit.inspection.trial import NOTHING, FitTrials, try_everywhere
from edgekit.models import tflite

__all__ = [
    "NOTHING",
    "Cell",
    "FileLimits",
    "FitTrials",
    "RuntimeFit",
    "TargetFit",
    "check_file",
    "fits",
    "fits_json",
    "inspect",
    "of_signature",
    "try_everywhere",
]


def inspect(path: str | Path, signature: str | None = None) -> Inspection:
    """Explain a ``.tflite`` file; of several signatures one alone, as a file of it would be.

    Raises :class:`ModelError` where it is not one, or damaged, or has no such signature.
    """
    path = Path(path)
    whole, content = tflite.read_content(path), of_signature(path, signature)
    return explain(path, flatbuffer.parse(content, str(path)), hashlib.sha256(whole).hexdigest())


def of_signature(path: Path, signature: str | None) -> bytes:
    """Return the bytes of a file, or those of the file that one of its signatures makes alone.

    Raises :class:`ModelError`.
    """
    content = tflite.read_content(path)
    if signature is None:
        return content
    file = flatbuffer.parse(content, str(path))
    key = chosen_signature(path, file, signature)
    return (
        extract_signature(content, key) if key is not None and len(file.signatures) > 1 else content
    )
