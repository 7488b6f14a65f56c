"""Child processes of tests: those that find TensorFlow imported, and what heeds user signals."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from edgekit.targets.runners import RUNNER_FILES

# Importing leaves TensorFlow's context unmade, so that a child may be forked of it.
SERVER = """
import fcntl, gc, json, os, runpy, select, signal, socket, sys, tempfile, types
gc.disable()
from edgekit.worker import deferred
deferred.install()
import tensorflow, keras, tf_keras, tensorflow.lite.python.lite
# Else each child looks through all that TensorFlow holds whenever it collects garbage.
gc.freeze()
gc.enable()

place, parent = sys.argv[1], int(sys.argv[2])
server = socket.socket(socket.AF_UNIX)
server.bind(place)
server.listen()
server.settimeout(1)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)

def work(folder, environment, path, code, arguments):
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    sys.argv = [path or "-c", *arguments]
    named = [one for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:0] = [os.path.dirname(path), *named]
    if path:
        runpy.run_path(path, run_name="__main__")
    else:
        sys.modules["__main__"] = module = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), module.__dict__)

def give(streams, numbers):
    # Out of each other's way first: one may have the number that another shall have.
    held = [fcntl.fcntl(stream, fcntl.F_DUPFD, 500) for stream in streams]
    for stream in streams:
        os.close(stream)
    for stream, number in zip(held, numbers, strict=True):
        os.dup2(stream, number)
        os.close(stream)

def end(child, session):
    try:
        (os.killpg if session else os.kill)(child, signal.SIGKILL)
    except ProcessLookupError:
        pass

while os.getppid() == parent:
    try:
        link, _ = server.accept()
    except TimeoutError:
        continue
    link.settimeout(None)
    message, streams, _, _ = socket.recv_fds(link, 1 << 18, 8)
    # Each child has a process that waits for it: several run at once.
    if os.fork():
        for number in (*streams, link.detach()):
            os.close(number)
        continue
    server.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *words, numbers, session = json.loads(message)
    begun, begins = os.pipe()
    child = os.fork()
    if not child:
        if session:
            os.setsid()
        os.write(begins, b"1")
        for number in (begun, begins, link.detach()):
            os.close(number)
        give(streams, numbers)
        code = 1
        try:
            work(*words)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(code)
    for stream in streams:
        os.close(stream)
    os.read(begun, 1)
    link.send(f"{child}\\n".encode())
    process = os.pidfd_open(child)
    ready, _, _ = select.select([process, link], [], [])
    if process not in ready:
        # Who asked for it is gone.
        end(child, session)
    _, status = os.waitpid(child, 0)
    try:
        link.send(f"{os.waitstatus_to_exitcode(status)}\\n".encode())
    except OSError:
        pass
    os._exit(0)
"""
CLIENT = """
import json, os, signal, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({place!r})
message = [os.getcwd(), dict(os.environ), {runner!r}, "", sys.argv[1:], [0, 1, 2], False]
socket.send_fds(link, [json.dumps(message).encode()], [0, 1, 2])
_, code = link.makefile()
if int(code) < 0:
    signal.signal(-int(code), signal.SIG_DFL)
    os.kill(os.getpid(), -int(code))
sys.exit(int(code))
"""
# What a worker's command has, and what it is told of its parent, which is another one here.
WORKER = "from edgekit.worker import server"
PARENT = "import os, sys; sys.argv[2] = str(os.getppid());"
# Names the folder of another process's server: for a command that a test runs.
PLACE = "EDGEKIT_TEST_FORKING"
# As the worker has them: TensorFlow and Keras read them when they are imported.
AS_A_WORKER = {
    "TF_CPP_MIN_LOG_LEVEL": "1",
    "KERAS_BACKEND": "tensorflow",
    "TF_USE_LEGACY_KERAS": "0",
}


@functools.cache
def _server() -> Path:
    """The folder with the socket of this process's server, which ends with it."""
    if given := os.environ.get(PLACE):
        return Path(given)
    holder = tempfile.TemporaryDirectory(prefix="forked-")
    atexit.register(holder.cleanup)
    place = Path(holder.name) / "socket"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(place), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd="/",
        env={**os.environ, **AS_A_WORKER},
    )
    atexit.register(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return place.parent


@functools.cache
def tensorflow_runner() -> Path:
    """A file that, run as Python, is the runner of SavedModels with TensorFlow imported already."""
    client = _server() / "client.py"
    place, runner = str(_server() / "socket"), str(RUNNER_FILES["tensorflow"])
    client.write_text(CLIENT.format(place=place, runner=runner))
    return client


class Forked:
    """A process forked of one that has TensorFlow, waited for and ended as a subprocess is.

    ``streams`` are open files of this process, by the number that each has there. With ``session``
    it leads one of its own. It ends with whoever holds this.
    """

    def __init__(
        self,
        script: str | Path,
        arguments: Sequence[object],
        streams: Mapping[int, int],
        environment: Mapping[str, str] | None = None,
        session: bool = False,
    ) -> None:
        path, code = (str(script), "") if isinstance(script, Path) else ("", script)
        words = [str(argument) for argument in arguments]
        held = dict(os.environ if environment is None else environment)
        message = [str(Path.cwd()), held, path, code, words, [*streams], session]
        self.args = [path or code, *words]
        self.stdin = self.stdout = self.stderr = None
        self.returncode: int | None = None
        self._once = threading.Lock()
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(str(_server() / "socket"))
        socket.send_fds(self._link, [json.dumps(message).encode()], [*streams.values()])
        self._answers = self._link.makefile()
        self.pid = int(self._answers.readline())

    def wait(self, timeout: float | None = None) -> int:
        """Its status, as :class:`subprocess.Popen` has it."""
        if self.returncode is None and not select.select([self._link], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        # Another thread may end it at the same time.
        with self._once:
            if self.returncode is None:
                self.returncode = int(self._answers.readline())
        return self.returncode

    def poll(self) -> int | None:
        """The same where it has ended; None where it has not."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def tensorflow_process(
    script: str | Path, *arguments: object, said: IO[Any] | None = None
) -> Forked:
    """Start Python code, or a file of it, that finds TensorFlow, Keras and tf_keras imported."""
    with Path(os.devnull).open("r+") as nothing:
        output = (said or nothing).fileno()
        return Forked(script, arguments, {0: nothing.fileno(), 1: output, 2: output})


def tensorflow_script(script: str | Path, *arguments: object) -> None:
    """Run Python code, or a file of it, that finds TensorFlow, Keras and tf_keras imported already.

    In a process of its own, as a subprocess is. Fails with the end of what it said.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        status = tensorflow_process(script, *arguments, said=said).wait()
        said.seek(0)
        assert status == 0, said.read()[-3000:]


def place() -> dict[str, str]:
    """For the environment of a command that calls :func:`fork_workers`."""
    return {PLACE: str(_server())}


def fork_workers() -> None:
    """From now on workers of this process find TensorFlow imported: they start in no time."""
    from edgekit.worker import client

    setattr(client, "subprocess", ForkedWorkers())  # noqa: B010 (a module, to a type checker)


class ForkedWorkers:
    """What :mod:`edgekit.worker.client` has for ``subprocess`` where its workers are forked."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, command: Sequence[str], **more: Any) -> Any:
        *_, code, number, parent, rules = command
        assert WORKER in code
        with Path(os.devnull).open() as nothing:
            streams = {0: nothing.fileno(), 1: more["stdout"].fileno(), 2: more["stderr"].fileno()}
            streams |= {each: each for each in more["pass_fds"]}
            return Forked(
                PARENT + code, (number, parent, rules), streams, more["env"], session=True
            )


def heed_interrupts() -> None:
    """For ``preexec_fn``: where the tests run in the background, their children ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
