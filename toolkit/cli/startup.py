"""What makes the start of a command cheaper; nothing that it computes depends on it."""

from __future__ import annotations

import gc
import os


def lighten() -> None:
    """Collect garbage more rarely, and look for no plug-ins of pydantic."""
    # What a start allocates stays: collecting that took a fifth of the time of `edgekit check`.
    gc.set_threshold(100_000, 50, 50)
    # Project files are edgekit's alone, and looking for plug-ins opens every package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
