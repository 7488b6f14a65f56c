"""The process that sends an outbox to MLflow: it says on standard output what became of each entry.

``{"sent": TITLE, "lost": [FILE]}`` is of one that arrived and is gone from the outbox, ``{"failed":
WHY}`` of one that stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shutil
import socket
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO
from urllib.request import getproxies, proxy_bypass

from edgekit.record.mlflow import entry as entries
from edgekit.record.mlflow.outbox import FILES, pending
from edgekit.record.mlflow.place import SQLITE

LOCK = ".lock"
# Seconds until a server that does not answer is away.
PATIENCE = 3.0
# What an answer without an end may take over what the process holds.
BYTES = 2 << 30
# Letters of an error that are told.
HEAD, TAIL = 100, 120
MISSING = "MLflow's client is not installed: pip install 'edgekit[mlflow]'"


def serve() -> None:
    """Send what standard input asks for, once."""
    job = json.load(sys.stdin)
    # What MLflow prints is not an answer.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _limit_memory()
    outbox = Path(job["outbox"])
    with _alone(outbox):
        if folders := pending(outbox):
            _send_all(job, folders, output)
    output.close()


def _send_all(job: dict[str, str], folders: tuple[Path, ...], output: TextIO) -> None:
    def say(**answer: Any) -> None:
        print(json.dumps(answer), file=output, flush=True)

    if why := _away(job["uri"]):
        return say(failed=why)
    try:
        from edgekit.record.mlflow.client import Client

        client = Client(job["uri"], job["artifacts"] or None)
    except ImportError as error:
        return say(failed=MISSING if (error.name or "").startswith("mlflow") else str(error))
    except Exception as error:
        return say(failed=_words(error))
    behind: set[str] = set()
    for folder in folders:
        entry = None
        try:
            entry = entries.read(folder)
            # Aliases end where the last promotion put them, so none overtakes another.
            if entry.version is not None and entry.model in behind:
                continue
            lost = client.send(entry, folder / FILES)
        except Exception as error:
            say(failed=f"{entry.title if entry else folder.name}: {_words(error)}")
            if _away(job["uri"]):
                return None
            behind.add(entry.model if entry else "")
            continue
        shutil.rmtree(folder)
        say(sent=entry.title, lost=lost)
    return None


def _away(uri: str) -> str:
    """Say why a server cannot be reached, if so: within seconds, before MLflow is imported."""
    if uri.startswith(SQLITE):
        return ""
    parts = urllib.parse.urlsplit(uri)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        # A proxy knows hosts that this machine does not.
        if parts.scheme in getproxies() and not proxy_bypass(parts.hostname or ""):
            return ""
        socket.create_connection((parts.hostname or "", port), PATIENCE).close()
    except (OSError, ValueError) as error:
        return f"it cannot be reached: {error}"
    return ""


def _words(error: Exception) -> str:
    """Say in one line what went wrong: what MLflow says may be pages of HTML, the cause last."""
    text = " ".join(str(error).split())
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]} … {text[-TAIL:]}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextlib.contextmanager
def _alone(outbox: Path) -> Iterator[None]:
    """Let two commands send one after the other."""
    with (outbox / LOCK).open("w") as lock:
        # Not every network disk has locks.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (BYTES, hard))


if __name__ == "__main__":
    serve()
