"""One policy for what a broken connection cuts short: it is begun again, while that brings more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edgekit.errors import ConnectionLost

# How often in a row something is begun that brings nothing new.
ATTEMPTS = 5

Answer = TypeVar("Answer")
Errors = type[Exception] | tuple[type[Exception], ...]


def again(
    attempt: Callable[[], Answer],
    errors: Errors = ConnectionLost,
    progress: Callable[[], object] = lambda: None,
) -> Answer:
    """Give what ``attempt`` gives, begun again where one of ``errors`` ends it.

    What ``progress`` gives changes where an attempt that failed has brought something after all:
    those are counted anew from there. Raises the last error after ``ATTEMPTS`` in a row.
    """
    failed, before = 0, progress()
    while True:
        try:
            return attempt()
        except errors:
            now = progress()
            failed, before = (failed + 1 if now == before else 0), now
            if failed == ATTEMPTS:
                raise
