"""The loopback address, and ports of it for servers that are waited for."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
# Below the ports that outgoing connections are given: 32768 on Linux (ip(7), ip_local_port_range),
# 49152 on macOS. A client that waits for a server at one of those can connect to itself: its own
# port is the one that it asks for (RFC 9293, simultaneous open).
PORTS = range(20_000, 32_768)
TRIES = 100


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """Find a free port, and hold it meanwhile. Where :data:`PORTS` are taken, any free one."""
    with socket.socket() as held:
        for port in [*random.SystemRandom().sample(PORTS, TRIES), 0]:
            try:
                held.bind((LOOPBACK, port))
            except OSError:
                continue
            break
        yield held.getsockname()[1]


def free_port() -> int:
    """Find a port that was free just now."""
    with held_port() as port:
        return port
