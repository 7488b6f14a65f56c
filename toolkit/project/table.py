"""What every table of the project file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the project file: read-only, and strict about its keys.

    Where a table is the default of a key, it is a ``default_factory``: one that is made while
    modules are imported would build its validator, in every command.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
