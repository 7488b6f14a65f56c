"""The table ``[evaluate.text]``: how a model's outputs, and integer labels, are read as texts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgekit.project.table import Table


class TextTable(Table):
    """``[evaluate] text``: how a model's outputs, and integer labels, are read as texts."""

    alphabet: str | None = Field(default=None, min_length=1)
    """The tokens in the order of the outputs, or a .txt with one per line.

    ``alphabet = "abc '"``
    """
    blank: Literal["first", "last"] | None = None
    """Position of CTC's blank among the outputs. ``blank = "first"``"""
    merge: bool | None = None
    """Merge a token that is repeated in a row. Default: where outputs are steps.

    ``merge = true``
    """
    padding: int | None = Field(default=None, ge=0)
    """A token to ignore. ``padding = 0``"""
    space: str | None = Field(default=None, min_length=1)
    """The token between words, where it is not a space. ``space = "|"``"""
