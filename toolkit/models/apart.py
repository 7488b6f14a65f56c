"""Model files read in a process of their own: a parser that crashes or hangs on one ends that."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from edgekit.errors import EdgekitError, ModelError
from edgekit.models import files
from edgekit.models.files import Content
from edgekit.process import describe_exit

Kind = Literal["keras", "h5", "json"]

SECONDS = 60.0
BYTES = 8 << 30
# The folder that edgekit was called in is no place to import from.
START = (
    "import sys; sys.path[:] = filter(None, sys.path); import edgekit.models.apart as a; a.serve()"
)


def read(path: Path, kind: Kind) -> Content:
    """What a model file says of itself, as :func:`edgekit.models.files.read` has it.

    Raises :class:`ModelError` also where the parser crashed, or took longer than a minute.
    """
    config, generation, links = _answer(path, kind)
    return Content(config, generation, tuple(links))


def links(path: Path) -> tuple[str, ...]:
    """What a file of weights reads from other files, as :func:`edgekit.models.files.links`."""
    return tuple(_answer(path, "weights"))


def _answer(path: Path, kind: str) -> Any:
    return run([sys.executable, "-c", START, kind, str(path)], path, SECONDS)


def run(command: list[str], path: Path, seconds: float) -> Any:
    """What a reading process says of ``path``. Raises :class:`ModelError` where it says nothing."""
    message = f"{path} cannot be read"
    hint = "it is damaged, or made to do so: save the model again"
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        reason = f"it was not read after {seconds:.0f} s"
        raise ModelError("EK-MODEL-003", message, f"{reason}: {hint}") from error
    if done.returncode:
        how, _ = describe_exit(done.returncode)
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        reason = " ".join([f"its parser {how}", *(line[:200] for line in said)])
        raise ModelError("EK-MODEL-003", message, f"{reason}: {hint}")
    found = json.loads(done.stdout)
    if "error" in found:
        raise ModelError(*found["error"])
    return found["content"]


def serve() -> None:
    """Read one file, and write what it says to standard output. In the process of its own."""
    resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
    kind, path = sys.argv[1], Path(sys.argv[2])
    found: dict[str, Any]
    try:
        if kind == "weights":
            found = {"content": files.links(path)}
        else:
            read = files.read(path, kind)  # type: ignore[arg-type]
            found = {"content": [read.config, read.generation, read.links]}
    except EdgekitError as error:
        found = {"error": [error.code, error.message, error.hint]}
    sys.stdout.write(json.dumps(found))
