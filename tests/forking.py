"""Child processes of tests: those that import TensorFlow once, and what heeds a user's signals."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from edgekit.targets.runners import RUNNER_FILES

# Importing leaves TensorFlow's context unmade, so that a child may be forked of it.
SERVER = """
import gc, json, os, runpy, signal, socket, sys, tempfile, types
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
    sys.path.insert(0, os.path.dirname(path))
    if path:
        runpy.run_path(path, run_name="__main__")
    else:
        sys.modules["__main__"] = module = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), module.__dict__)

while os.getppid() == parent:
    try:
        link, _ = server.accept()
    except TimeoutError:
        continue
    link.settimeout(None)
    message, streams, _, _ = socket.recv_fds(link, 1 << 18, 3)
    # Each child has a process that waits for it: several run at once.
    if os.fork():
        for number in (*streams, link.detach()):
            os.close(number)
        continue
    server.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        code = 1
        try:
            work(*json.loads(message))
            code = 0
        except SystemExit as error:
            code = error.code or 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(code)
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(child, 0)
    link.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)
"""
CLIENT = """
import json, os, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({place!r})
message = [os.getcwd(), dict(os.environ), {runner!r}, "", sys.argv[1:]]
socket.send_fds(link, [json.dumps(message).encode()], [0, 1, 2])
sys.exit(int(link.recv(16)))
"""


@functools.cache
def _server() -> Path:
    """The folder with the socket of this process's server, which ends with it."""
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


def tensorflow_script(script: str | Path, *arguments: object) -> None:
    """Run Python code, or a file of it, that finds TensorFlow, Keras and tf_keras imported already.

    In a process of its own, as a subprocess is. Fails with the end of what it said.
    """
    words = [str(argument) for argument in arguments]
    path, code = (str(script), "") if isinstance(script, Path) else ("", script)
    message = json.dumps([str(Path.cwd()), dict(os.environ), path, code, words])
    with (
        tempfile.TemporaryFile("w+", errors="replace") as said,
        Path(os.devnull).open() as nothing,
        socket.socket(socket.AF_UNIX) as link,
    ):
        link.connect(str(_server() / "socket"))
        streams = [stream.fileno() for stream in (nothing, said, said)]
        socket.send_fds(link, [message.encode()], streams)
        status = int(link.recv(16))
        said.seek(0)
        assert status == 0, said.read()[-3000:]


def heed_interrupts() -> None:
    """For ``preexec_fn``: where the tests run in the background, their children ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
