"""Names that are safe in C and C++ source."""

from __future__ import annotations

import re


def identifier(name: str) -> str:
    """Make a C identifier of a model's name: ``digits-v2`` becomes ``digits_v2``.

    What C++ reserves (two underscores in a row, one at the start) does not occur in it.
    """
    safe = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    return safe if safe and not safe[0].isdigit() else f"model_{safe}".rstrip("_")


def guard(file: str) -> str:
    """Return the include guard of a header: ``EDGEKIT_DIGITS_MODEL_H_`` of ``digits_model.h``."""
    return f"EDGEKIT_{re.sub(r'[^A-Za-z0-9]+', '_', file).upper()}_"
