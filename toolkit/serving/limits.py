"""What a server takes on: bounds, and what a request is refused with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """What bounds a server: ``seconds`` of a request from its first byte to its answer, ``body`` in
    bytes, requests that wait in each version's ``queue``, ``runners`` of each version, and open
    ``connections``.
    """

    seconds: float = 10.0
    body: int = 16 * MIB
    queue: int = 64
    runners: int = 1
    connections: int = 512


class Refused(Exception):
    """What a client is told instead of an answer: an HTTP ``status``, and why."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})


def busy(message: str) -> Refused:
    """Return the refusal of a request that may come again in a second."""
    return Refused(503, message, {"Retry-After": "1"})
