"""Parts of details that may fail: one that cannot be made is absent, with a reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from edgekit.errors import EdgekitError

T = TypeVar("T")
LOG = logging.getLogger("edgekit")


@dataclass
class Parts:
    """What could not be made so far, by the name of the part, and why."""

    absent: dict[str, str] = field(default_factory=dict)

    def make(self, name: str, part: Callable[[], T], otherwise: T) -> T:
        """Make a part; where that raises, note the reason: a page is not a cause to fail a run."""
        try:
            return part()
        except (EdgekitError, ValueError) as error:
            self.absent[name] = error.message if isinstance(error, EdgekitError) else str(error)
        except Exception as error:
            LOG.debug("details: %s cannot be made", name, exc_info=True)
            self.absent[name] = f"it could not be made: {type(error).__name__}: {error}"
        return otherwise


@dataclass
class Pictures:
    """PNGs in base64 by key, each held once, as far as there is ``room`` for their bytes."""

    room: int
    drawn: dict[str, str] = field(default_factory=dict)

    def add(self, pictures: Mapping[str, str]) -> Iterator[str]:
        """Take pictures as far as there is room; yield the keys of those that are held."""
        for key, content in pictures.items():
            if key not in self.drawn and len(content) <= self.room:
                self.drawn[key] = content
                self.room -= len(content)
            if key in self.drawn:
                yield key
