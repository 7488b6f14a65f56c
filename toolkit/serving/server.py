"""The HTTP server around a service: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edgekit.errors import ServeError
from edgekit.serving.application import Application
from edgekit.serving.feedback import Feedback
from edgekit.serving.limits import Bounds
from edgekit.serving.service import Service

# Bytes of a request's head, above which a connection is closed.
LARGEST_HEAD = 64 << 10
# Seconds over the time of a request that an end may take.
SPARE = 5
# Seconds between two looks at what an alias of the registry stands for.
FOLLOW_SECONDS = 2.0


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with a limit on how long a request's head may be, in bytes and in seconds."""

    _head: asyncio.TimerHandle | None = None
    _bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._head is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()
        if self._head is not None:
            self._bytes += len(data)
        super().data_received(data)
        if self._head is not None and self._bytes > LARGEST_HEAD:
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._have_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._bytes = 0
        seconds = getattr(self.config, "head_seconds", 10.0)
        self._head = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _have_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


class _Server(uvicorn.Server):
    """A server whose signals are its caller's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address. Raises :class:`ServeError`."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio sends at once, without waiting for acknowledgements, where it knows it is TCP.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            why = "another program listens there"
        message = f"{host}:{port} cannot be had: {why}"
        hint = "name another port, or --port 0 for a free one"
        raise ServeError("EK-SERVE-001", message, hint) from error
    return bound


def is_loopback(host: str) -> bool:
    """Tell whether only programs of this machine reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address(bound: socket.socket) -> str:
    """Return where a socket is reached, as a URL."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def run(
    service: Service,
    bound: socket.socket,
    bounds: Bounds,
    feedback: Feedback,
    told: Callable[[Service], None],
    warn: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; requests that have come are answered before it ends.

    ``told`` is called once the versions are loaded and have passed their self-test, and after each
    reload, which SIGHUP asks for, and an alias of the registry that moves; ``warn`` with what went
    wrong at one. Raises :class:`EdgekitError` where the versions cannot be served at all.
    """
    config = uvicorn.Config(
        Application(service, bounds, feedback).asgi,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        # What is not HTTP is told to whoever sent it; a line for each would fill a disk.
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=bounds.connections,
        timeout_graceful_shutdown=int(bounds.seconds) + SPARE,
    )
    config.head_seconds = bounds.seconds  # type: ignore[attr-defined]
    server = _Server(config)
    reload = _Reload(service, told, warn)
    serving = asyncio.create_task(server.serve([bound]))
    _on_signals(server, service, reload.begin)
    try:
        loading = asyncio.create_task(service.load())
        await asyncio.wait({serving, loading}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            await loading
            told(service)
        else:
            loading.cancel()
        while not serving.done():
            await asyncio.wait({serving}, timeout=FOLLOW_SECONDS)
            if not serving.done() and await service.moved():
                await reload()
        await serving
    finally:
        server.should_exit = True
        await serving
        await service.close()


class _Reload:
    """Reads the versions anew, and says how that went."""

    def __init__(
        self, service: Service, told: Callable[[Service], None], warn: Callable[[str], None]
    ) -> None:
        self._service, self._told, self._warn = service, told, warn
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self) -> None:
        problem = await self._service.reload()
        if problem:
            self._warn(problem)
        else:
            self._told(self._service)

    def begin(self) -> None:
        """Do so while others are answered."""
        task = asyncio.create_task(self())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _on_signals(server: uvicorn.Server, service: Service, reload: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        # A second signal waits for nobody.
        server.force_exit = server.should_exit
        server.should_exit = service.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, reload)
