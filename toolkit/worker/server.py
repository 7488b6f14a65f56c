"""The worker's side: import a function, call it, send back the result or the error."""

from __future__ import annotations

import contextlib
import errno
import importlib
import inspect
import json
import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from edgekit.errors import EdgekitError, StoreError, WorkerError
from edgekit.sandbox import landlock
from edgekit.worker import bounds, deferred, uncollected


def serve(pipe: Connection) -> None:
    """Answer calls until the other end is closed."""
    bounds.listen(lambda *bound: pipe.send(("bound", *bound)))
    while True:
        try:
            module, name, args, kwargs = pipe.recv()
        except EOFError:
            return
        pipe.send(("begun",))
        try:
            function = _find(module, name)
            if "progress" in inspect.signature(function).parameters:
                kwargs["progress"] = lambda *event: pipe.send(("progress", *event))
            if "warn" in inspect.signature(function).parameters:
                kwargs["warn"] = lambda text: pipe.send(("warning", text))
            pipe.send(("result", function(*args, **kwargs)))
        except EdgekitError as error:
            _log_traceback()
            pipe.send(("error", error))
        except BaseException as error:
            _log_traceback()
            pipe.send(("error", _translate(name, error)))


def _log_traceback() -> None:
    """Print the error that is handled, where the log's disk has room for it."""
    with contextlib.suppress(OSError):
        traceback.print_exc()


def _find(module: str, name: str) -> Any:
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    return function


def _translate(name: str, error: BaseException) -> EdgekitError:
    text = str(error).strip() or type(error).__name__
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "No space left on device" in text:
        hint = "free some space, or choose another disk with --output DIR"
        return StoreError("EK-STORE-001", f"no space left during {name}", hint)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = "\n".join(line[:300] for line in lines[:6])
    hint = f"{type(error).__name__}: {shown}"
    return WorkerError("EK-WORKER-004", f"{name} failed in TensorFlow", hint)


def _end_with_parent(parent: int) -> None:
    """End this process group once ``parent`` is gone, even if that was before this was called."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serve the pipe that the command line names: its number, the parent's, the sandbox's rules."""
    # First of all: only the thread that asks is shut in, with what it then starts.
    if (rules := json.loads(sys.argv[3])) is not None:
        landlock.restrict(rules)
    _end_with_parent(int(sys.argv[2]))
    uncollected.install()
    deferred.install()
    serve(Connection(int(sys.argv[1])))
