"""The table ``[evaluate.text]``: how a model's outputs, and integer labels, are read as texts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgekit.project.table import Table


class TextTable(Table):
    alphabet: str | None = Field(default=None, min_length=1)
    blank: Literal["first", "last"] | None = None
    merge: bool | None = None
    padding: int | None = Field(default=None, ge=0)
    space: str | None = Field(default=None, min_length=1)
