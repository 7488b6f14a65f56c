"""The server of one run: on the loopback address, by name only, and only for that run's files."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, ServeError
from edgekit.loopback import LOOPBACK
from edgekit.report.document import plain
from edgekit.report.html.live import POLICY_OF_OTHERS, live_page, refusal_page
from edgekit.report.live.state import live_run

# Names that a browser on this machine may use; any other was pointed here from outside.
NAMES = (LOOPBACK, "localhost", "[::1]")
SECONDS = 10
LARGEST = 64 << 20
TYPES = {".json": "application/json", ".jsonl": "text/plain", ".txt": "text/plain"}
# What a run's folder may have to show; nothing else in it is served, and no listing.
FILES = (
    "report.json",
    "details.json",
    "bench.json",
    "compare.json",
    "evaluate.json",
    "progress.jsonl",
    "log.txt",
)


class RunServer(ThreadingHTTPServer):
    """Serves the page of a run in ``folder``, which ``page`` draws once it is finished."""

    daemon_threads = True

    def __init__(self, folder: Path, page: Callable[[Path], str], port: int) -> None:
        self.folder, self.page = folder, page
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a reader that went away."""


def serve(folder: Path, page: Callable[[Path], str], port: int) -> RunServer:
    """Return a server of the run in a folder that listens on a port, 0 for a free one.

    Raises :class:`ServeError` where the port cannot be had.
    """
    try:
        return RunServer(folder.resolve(), page, port)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            why = "another program listens there"
        else:
            why = getattr(error, "strerror", None) or str(error)
        hint = "name another one, or --port 0 for a free one"
        message = f"port {port} cannot be had: {why}"
        raise ServeError("EK-SERVE-001", message, hint) from error


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of the page, of how far the run has come, and of its own files."""

    server: RunServer
    server_version, sys_version = "edgekit", ""
    timeout = SECONDS

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests off the terminal."""

    def _answer(self) -> None:
        if not self._is_addressed():
            text = f"this server answers to {self.server.url} alone\n"
            self._send(text.encode(), "text/plain", HTTPStatus.MISDIRECTED_REQUEST)
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._page()
        elif path == "/progress":
            state = plain(live_run(self.server.folder))
            self._send(json.dumps(state).encode(), "application/json")
        else:
            self._file(path.removeprefix("/"))

    def _is_addressed(self) -> bool:
        """Tell whether the request names this machine: a foreign name was rebound to it."""
        port = self.server.server_port
        return self.headers.get("Host", "") in [f"{name}:{port}" for name in NAMES]

    def _page(self) -> None:
        state = live_run(self.server.folder)
        if not state.has_page:
            text, policy = live_page(state)
            self._send(text.encode(), "text/html", policy=policy)
            return
        try:
            # It has a policy of its own.
            self._send(self.server.page(self.server.folder).encode(), "text/html", policy="")
        except EdgekitError as error:
            text, policy = refusal_page(state, str(error))
            self._send(text.encode(), "text/html", HTTPStatus.INTERNAL_SERVER_ERROR, policy)

    def _file(self, name: str) -> None:
        """Send one of the run's own files; a link that leads out of its folder is refused."""
        path = self.server.folder / name
        known = name in FILES and path.is_file() and path.resolve().parent == self.server.folder
        if not known or path.stat().st_size > LARGEST:
            self._send(b"not found\n", "text/plain", HTTPStatus.NOT_FOUND)
            return
        self._send(path.read_bytes(), TYPES[path.suffix])

    def _send(
        self,
        content: bytes,
        kind: str,
        status: HTTPStatus = HTTPStatus.OK,
        policy: str = POLICY_OF_OTHERS,
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            **({"Content-Security-Policy": policy} if policy else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
