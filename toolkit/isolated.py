"""Read untrusted files in a process of their own: a parser that crashes ends that one alone.

The process has limits of time and memory, and says what it is reading, so that a file, or one
picture of thousands, is refused by its name when the parser crashes, hangs or fills the memory.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec

from edgekit import errors
from edgekit.errors import EdgekitError
from edgekit.process import NOT_FROM_HERE, describe_exit
from edgekit.sandbox import Sandbox, landlock

P = ParamSpec("P")

# For each place that is noted, and for the whole where none is.
SECONDS = 60
# Over what the process holds when it begins to read.
BYTES = 8 << 30
FULL = f"it takes more than {BYTES >> 30} GiB of memory to read"
MOST_SAID = 4096
# The folder that edgekit was called in is not a place to import from.
START = f"{NOT_FROM_HERE} import edgekit.isolated as i; i.serve()"

_noted: int | None = None


@dataclass(frozen=True)
class ParserFailure:
    """The error for a file whose parser does not come back: ``file`` cannot be read ``as_what``.

    The place that was noted last stands for the file, where there is one.
    """

    error: type[EdgekitError]
    code: str
    file: str
    as_what: str = ""
    hint: str = "it is damaged, or made to do so"

    def of(self, place: str, reason: str) -> EdgekitError:
        what = f" as {self.as_what}" if self.as_what else ""
        message = f"{place or self.file} cannot be read{what}"
        return self.error(self.code, message, f"{reason}: {self.hint}")


def call(
    refusal: ParserFailure, function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs
) -> Any:
    """Run ``function`` in a process of its own and return its result, which JSON must carry.

    It is found there by module and name. Raises what it raised where that is an
    :class:`EdgekitError` or an OSError, and ``refusal`` where the process died, took a minute over
    one place, or wanted more memory than there is for it.
    """
    return call_confined(None, refusal, function, *args, **kwargs)


def call_confined(
    sandbox: Sandbox | None,
    refusal: ParserFailure,
    function: Callable[P, Any],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Any:
    """Run as :func:`call` does, in a sandbox."""
    rules = json.dumps(sandbox.rules() if sandbox else None)
    command = [sys.executable, "-c", START, function.__module__, function.__qualname__]
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
    with tempfile.TemporaryFile() as place, tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [*command, str(place.fileno()), rules],
            input=pickle.dumps((args, kwargs)),
            stdout=subprocess.PIPE,
            stderr=said,
            pass_fds=(place.fileno(),),
            env=environment,
            check=False,
        )
        if done.returncode:
            last = _tail(said)
            reason = " ".join([died(done.returncode), *(line[:200] for line in last[-1:])])
            raise refusal.of(_line(place), reason)
        return _unpacked(refusal, json.loads(done.stdout), _line(place))


def died(code: int | None) -> str:
    """Tell why a process that was reading gave no answer, from its return code."""
    if code == -signal.SIGALRM:
        return f"it was not read after {SECONDS} s"
    return f"its parser {describe_exit(code)[0]}"


def _unpacked(refusal: ParserFailure, answer: dict[str, Any], place: str) -> Any:
    if "error" in answer:
        name, *words = answer["error"]
        raise getattr(errors, name)(*words)
    if "system" in answer:
        raise OSError(*answer["system"])
    if "memory" in answer:
        raise refusal.of(place, FULL)
    return answer["content"]


def _tail(file: BinaryIO) -> list[str]:
    """Return the last lines of what a process said."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - MOST_SAID))
    return file.read().decode(errors="replace").strip().splitlines()


def _line(file: BinaryIO) -> str:
    file.seek(0)
    return file.readline(MOST_SAID).decode(errors="replace").strip()


# --- in the process that reads -------------------------------------------------------------------


def note(place: str) -> None:
    """Say what is read from here on, a minute at most: that is named if nothing comes of it."""
    if _noted is not None:
        line = place.replace("\n", " ").encode(errors="replace")[: MOST_SAID - 1]
        os.pwrite(_noted, line + b"\n", 0)
        signal.alarm(SECONDS)


@contextlib.contextmanager
def watched(noted: int) -> Iterator[None]:
    """Bound what is read inside: :func:`note` writes to ``noted``, memory has a limit.

    What takes longer than its time ends this process.
    """
    global _noted
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _data_bytes() + BYTES
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    _noted = noted
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        _noted = None
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


@contextlib.contextmanager
def watched_file(path: Path, refusal: ParserFailure) -> Iterator[None]:
    """Bound as :func:`watched` does, noting to a file that is removed unless this process dies.

    Raises ``refusal`` where memory runs out.
    """
    noted = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with watched(noted):
            yield
    except MemoryError as error:
        raise refusal.of(last_noted(path), FULL) from error
    finally:
        os.close(noted)
        path.unlink()


def last_noted(path: Path) -> str:
    """Return what a process that died in :func:`watched_file` noted last."""
    try:
        with path.open("rb") as file:
            return _line(file)
    except OSError:
        return ""


def _data_bytes() -> int:
    """Return what counts against the limit of memory already."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def serve() -> None:
    """Read what is asked for on standard input, and answer on standard output: once."""
    # What a parser prints is not an answer.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where memory runs out, the system should end this process before all others.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    module, name, noted, rules = sys.argv[1:]
    answer: dict[str, Any]
    try:
        function = getattr(importlib.import_module(module), name)
        args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301  (written by edgekit itself)
        if (allowed := json.loads(rules)) is not None:
            landlock.restrict(allowed)
        with watched(int(noted)):
            answer = {"content": function(*args, **kwargs)}
    except EdgekitError as error:
        answer = {"error": [type(error).__name__, error.code, error.message, error.hint]}
    except OSError as error:
        answer = {"system": [error.errno, error.strerror or str(error), error.filename]}
    except MemoryError:
        answer = {"memory": True}
    json.dump(answer, output)
    output.close()
