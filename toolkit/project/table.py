"""What every table of the project file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the project file: read-only, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
