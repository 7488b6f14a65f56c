"""Child processes of tests: runners that import their runtime once, and heed what a user does."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SERVER = """
import json, os, runpy, socket, sys
from importlib import import_module

place, runner, package = sys.argv[1:]
import_module(package)
sys.path.insert(0, os.path.dirname(runner))
server = socket.socket(socket.AF_UNIX)
server.bind(place)
server.listen()
print("ready", flush=True)
while True:
    link, _ = server.accept()
    message, streams, _, _ = socket.recv_fds(link, 65536, 3)
    child = os.fork()
    if not child:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        folder, arguments = json.loads(message)
        os.chdir(folder)
        sys.argv = [runner, *arguments]
        code = 1
        try:
            runpy.run_path(runner, run_name="__main__")
            code = 0
        except SystemExit as error:
            code = error.code or 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    for stream in streams:
        os.close(stream)
    link.send(str(os.waitstatus_to_exitcode(status)).encode())
    link.close()
"""
CLIENT = """
import json, os, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({place!r})
socket.send_fds(link, [json.dumps([os.getcwd(), sys.argv[1:]]).encode()], [0, 1, 2])
sys.exit(int(link.recv(16)))
"""


@contextlib.contextmanager
def forked(runner: Path, package: str, folder: Path) -> Iterator[Path]:
    """A file in ``folder`` that, run as Python, is ``runner`` with ``package`` imported already."""
    place, client = str(folder / "socket"), folder / "client.py"
    client.write_text(CLIENT.format(place=place))
    command = [sys.executable, "-c", SERVER, place, str(runner), package]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield client
        finally:
            process.kill()


def heed_interrupts() -> None:
    """For ``preexec_fn``: where the tests run in the background, their children ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
