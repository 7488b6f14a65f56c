"""Call functions in a child process that imports TensorFlow, and survive its death."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from edgekit import scratch
from edgekit.errors import EdgekitError, WorkerDied, WorkerError
from edgekit.process import NOT_FROM_HERE, Limits, describe_exit, end_group, resident, tail
from edgekit.sandbox import EVERYWHERE, Sandbox
from edgekit.types import Progress, Silent

LOG = logging.getLogger("edgekit")
P = ParamSpec("P")
R = TypeVar("R")
# What the worker imports of others: in a sandbox it can keep no bytecode of it.
LIBRARIES = ("tensorflow", "keras", "tf_keras")
START = f"{NOT_FROM_HERE} from edgekit.worker import server; server.main()"
OWN = "keep files that your own layers read below the project's folder"


class Worker:
    """A child process that serves calls in turn; started at the first, and again after a crash.

    Its standard output and error go to ``log``, its temporary files into a folder beside it. Use as
    a context manager: leaving ends the process and whatever it started, and removes that folder.

    With ``sandbox`` it reaches nothing but what that allows, its temporary folder, and to read the
    paths among the arguments of calls; without, it is as free as who called it.
    """

    def __init__(
        self,
        log: Path,
        progress: Progress | None = None,
        limits: Limits | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        self._log = log
        self._progress = progress or Silent()
        self._limits = limits or Limits()
        self._sandbox = sandbox
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._busy = False
        self._temporary = contextlib.ExitStack()
        self._killed = threading.Event()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def started(self) -> bool:
        """Whether it has been needed."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The number of its process; 0 where none is running."""
        process = self._process
        return process.pid if process is not None else 0

    def start(self) -> None:
        """Start the process now, and not at the first call."""
        self._started()

    def kill(self) -> None:
        """End the process for good: a call that waits in another thread raises WorkerDied."""
        self._killed.set()
        process = self._process
        if process is not None:
            end_group(process)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``function(*args, **kwargs)`` in the worker.

        The function is found there by module and name; arguments and result are pickled. A
        parameter called ``progress`` gets a callable ``(done, total, text)``, and one called
        ``warn`` a callable ``(text)`` that warns the user at once. Raises what the function raised
        where that is an :class:`EdgekitError`, else :class:`WorkerError`.
        """
        message = (function.__module__, function.__qualname__, args, kwargs)
        self._give([*_paths(args), *_paths(kwargs)])
        try:
            # One that was dying when it was called has not failed on this call.
            if not self._begin(message) and not self._begin(message):
                raise EOFError
            return self._await(function.__name__)  # type: ignore[no-any-return]
        except (EOFError, ConnectionError) as error:
            raise self._crash(function.__name__) from error
        except BaseException:
            if self._process is not None and self._busy:
                self.stop()
            raise

    def _begin(self, message: tuple[Any, ...]) -> bool:
        """Send a call, and tell whether the worker was still there to begin it."""
        _, pipe = self._started()
        try:
            pipe.send(message)
            pipe.recv()
        except (EOFError, ConnectionError):
            self._await_end()
            return False
        return True

    def stop(self) -> None:
        """End the process and its children, and wait until they are gone."""
        if self._process is not None:
            end_group(self._process)
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None
        self._temporary.close()

    def _give(self, paths: list[Path]) -> None:
        """Let the worker read these: a running sandbox cannot be widened, so it may start again."""
        if self._sandbox is None:
            return
        missing = [path for path in paths if not self._sandbox.allow(path)]
        if missing:
            self.stop()
            self._sandbox = self._sandbox.wider(missing)

    def _started(self) -> tuple[subprocess.Popen[bytes], Connection]:
        """Return the process and its pipe, started where there is none or it has ended."""
        if self._process is None or self._pipe is None or self._process.poll() is not None:
            self._process, self._pipe = self._start()
        return self._process, self._pipe

    def _start(self) -> tuple[subprocess.Popen[bytes], Connection]:
        self.stop()
        if self._killed.is_set():
            raise EOFError
        self._log.parent.mkdir(parents=True, exist_ok=True)
        ours, theirs = multiprocessing.Pipe()
        # TensorFlow's own temporary files stay where a worker is killed.
        temporary = self._temporary.enter_context(scratch.held(self._log.parent, "worker-"))
        environment = dict(os.environ, PYTHONUNBUFFERED="1", TMPDIR=str(temporary))
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        # Keras 3 by its own name, TensorFlow behind it: what converts to TFLite.
        environment.update(KERAS_BACKEND="tensorflow", TF_USE_LEGACY_KERAS="0")
        rules = None
        if self._sandbox is not None:
            _compile(environment)
            sandbox = self._sandbox
            rules = dataclasses.replace(sandbox, write=(*sandbox.write, temporary)).rules()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    START,
                    str(theirs.fileno()),
                    str(os.getpid()),
                    json.dumps(rules),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        theirs.close()
        # It may have been killed in another thread meanwhile.
        if self._killed.is_set():
            end_group(process)
        return process, ours

    def _await(self, name: str) -> Any:
        if self._process is None or self._pipe is None:
            raise EOFError
        process, pipe = self._process, self._pipe
        self._busy = True
        begin = checked = time.monotonic()
        limit, task = self._limits.seconds, name
        while True:
            if pipe.poll(0.1):
                kind, *content = pipe.recv()
                if kind == "progress":
                    self._progress.update(*content)
                    continue
                if kind == "warning":
                    LOG.warning("%s", *content)
                    continue
                if kind == "bound":
                    # What the project says holds for the whole call, however long its parts.
                    if self._limits.seconds is None:
                        begin, (limit, task) = time.monotonic(), content
                    continue
                self._busy = False
                if kind == "result":
                    return content[0]
                raise self._refusal(content[0])
            now = time.monotonic()
            if limit is not None and now - begin > limit:
                raise self._overrun(
                    WorkerError,
                    "EK-WORKER-002",
                    f"{task} took longer than its limit of {limit:.0f} s",
                )
            if self._limits.bytes is not None and now - checked > 0.5:
                checked, resident_bytes = now, resident(process.pid)
                if resident_bytes > self._limits.bytes:
                    raise self._overrun(
                        WorkerDied,
                        "EK-WORKER-003",
                        f"{name} held {resident_bytes / 1e9:.1f} GB of memory,"
                        f" over its limit of {self._limits.bytes / 1e9:.1f} GB",
                    )

    def _refusal(self, error: EdgekitError) -> EdgekitError:
        """Return an error, or what it comes of where the sandbox refused something."""
        text = f"{error.message}\n{error.hint}"
        denied = self._sandbox.denied(text) if self._sandbox else ""
        if not denied:
            return error
        hint = f"{text}\n{EVERYWHERE}\n{OWN}"
        return WorkerError("EK-WORKER-005", f"the worker {denied}", hint)

    def _overrun(self, kind: type[WorkerError], code: str, message: str) -> WorkerError:
        self.stop()
        hint = "raise it under [limits] in edgekit.toml; the log is " + str(self._log)
        return kind(code, message, hint)

    def _await_end(self) -> None:
        """Give a process whose pipe has closed the time to end."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)

    def _crash(self, name: str) -> WorkerError:
        self._await_end()
        how, cause = describe_exit(self._process.returncode if self._process else None)
        self.stop()
        hint = f"{cause}\n{tail(self._log)}\nthe whole log is {self._log}"
        return WorkerDied("EK-WORKER-001", f"the TensorFlow worker {how} during {name}", hint)


def _paths(value: Any) -> Iterator[Path]:
    """Yield the paths that an argument holds, however deep."""
    if isinstance(value, Path):
        yield value.absolute()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _paths(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _paths(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _paths(item)


def _compile(environment: Mapping[str, str]) -> None:
    """Import the libraries once where no bytecode of them is kept, as installers leave some."""
    spec = importlib.util.find_spec(LIBRARIES[0])
    if spec is None or spec.origin is None:
        return
    bytecode = importlib.util.cache_from_source(spec.origin)
    if not Path(bytecode).exists() and os.access(Path(spec.origin).parent, os.W_OK):
        imports = f"{NOT_FROM_HERE} import {', '.join(LIBRARIES)}"
        command = [sys.executable, "-c", imports]
        subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False)
