"""Time limits for parts of a call, set from inside the worker."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Tell = Callable[[float | None, str], None]

# Set by the worker's server; outside a worker there is no one to tell, and nothing is bounded.
_listeners: list[Tell] = []
_open: list[str] = []


def listen(tell: Tell) -> None:
    """Have ``tell(seconds, what)`` called where a bounded part begins, ``tell(None, "")`` after."""
    _listeners[:] = [tell]


@contextlib.contextmanager
def at_most(seconds: float, task: str) -> Iterator[None]:
    """Bound what is done inside; after that the caller ends the worker and says ``what`` hung.

    The project's own ``[limits] seconds`` comes before it. Inside another bound it changes nothing.
    """
    _open.append(task)
    try:
        if len(_open) == 1:
            _tell(seconds, task)
        yield
    finally:
        _open.pop()
        if not _open:
            _tell(None, "")


def _tell(seconds: float | None, what: str) -> None:
    for tell in _listeners:
        tell(seconds, what)
