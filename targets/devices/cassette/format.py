"""The format that cassettes are written in, by its number."""

from __future__ import annotations

FORMAT = 1


class NewerFormat(Exception):
    """A cassette was written by a newer edgekit, in the format that this is."""
