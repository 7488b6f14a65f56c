"""A real server of MLflow, killed in mid-upload; servers that are none; a database, locked; a disk,
full: nothing is lost, nothing fails, and one warning says so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ratchet import HOST, Workshop
from registering import run_with_files
from tracking import Book, answering, kept, new_book, recording, workshop

from conftest import EDGEKIT, edgekit, once
from edgekit.loopback import free_port

pytestmark = pytest.mark.slow
__all__ = ["new_book", "workshop"]
LARGE = 40 << 20


def _install(folder: Path) -> None:
    """MLflow whole, in an environment of its own, which sees edgekit's and adds what is not there:
    half a gigabyte that edgekit itself does not take.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    seen = sysconfig.get_path("purelib")
    inside = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    (Path(inside) / "edgekit.pth").write_text(f"{seen}\n")
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*command, "mlflow>=3.17,<4"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def mlflow(shared: Path) -> Path:
    """The Python of an environment with MLflow."""
    return once(shared / "mlflow", _install) / "bin" / "python"


@dataclass
class Server:
    """A server of MLflow on this machine, with a database and artefacts of its own."""

    python: Path
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        if not self.port:
            self.port = free_port()
        command = [self.python, "-m", "mlflow", "server", "--port", self.port, "--workers", 1]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", self.folder / "artifacts"]
        off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env={**os.environ, **off},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health"):  # noqa: S310
                return
            time.sleep(0.1)
        raise TimeoutError((self.folder / "log.txt").read_text())

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def book(self) -> Book:
        return Book(self.folder / "mlflow.db")


@pytest.fixture(scope="module")
def server(mlflow: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(mlflow, tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@contextlib.contextmanager
def cut(server: Server, after: int) -> Iterator[str]:
    """A way to the server, which is killed once so many bytes have gone to it."""
    sent = [0]

    def forward(source: socket.socket, target: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                sent[0] += len(chunk) * counts
                if sent[0] > after:
                    server.kill()
                target.sendall(chunk)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def behave(connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as behind:
            back = threading.Thread(target=forward, args=(behind, connection, False), daemon=True)
            back.start()
            forward(connection, behind, True)
            back.join()

    with answering(behave) as uri:
        yield uri


def large(workshop: Workshop) -> bytes:
    """Register a run whose bundle takes a while to upload."""
    content = os.urandom(LARGE)
    run_with_files(workshop, "second", range(60))
    (newest,) = (
        path for path in (workshop.root / ".edgekit/runs").iterdir() if path.name == "run-2"
    )
    (newest / "report.html").write_bytes(content)
    return content


def test_server_that_is_killed_in_mid_upload_has_all_of_it_in_the_end(
    workshop: Workshop, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with cut(server, after=1 << 40) as way:
        recording(workshop, way)
        assert workshop.edgekit("registry", "add", "--note", "the first")[0] == 0
        assert workshop.edgekit("promote", "1")[0] == 0
        assert not caplog.messages
    assert server.book.versions() == {1: "run-1"}
    content = large(workshop)
    with cut(server, after=LARGE // 2) as way:
        recording(workshop, way)
        code, text = workshop.edgekit("registry", "sync", ".edgekit/runs/run-2")
        assert (code, "1 not sent yet: run-2: " in text) == (3, True), text
    assert server.process is None
    assert len(kept(workshop.root)) == 1
    assert server.book.runs() == {"run-1": "FINISHED", "run-2": "RUNNING"}
    server.start()
    recording(workshop, server.uri)
    assert workshop.edgekit("registry", "add")[0] == 0
    assert workshop.edgekit("promote", "2")[0] == 0
    book = server.book
    assert book.runs() == {"run-1": "FINISHED", "run-2": "FINISHED"}
    assert book.versions() == {1: "run-1", 2: "run-2"}
    assert book.holder("champion") == 2
    twice = "select key from metrics group by run_uuid, key, step having count(*) > 1"
    assert book.ask(twice) == []
    (found,) = (server.folder / "artifacts").rglob("report.html")
    assert found.read_bytes() == content
    assert not kept(workshop.root)


def test_command_records_on_a_server_as_a_user_starts_it(
    server: Server, tmp_path: Path, models: Path
) -> None:
    table = f'[model]\nname = "others"\nsource = "{models / "keras3.keras"}"\n'
    (tmp_path / "edgekit.toml").write_text(
        f'{table}[record]\nmlflow = "{server.uri}"\nwait = "600 s"\n'
    )
    words = ("convert", "--no-evaluate", "--precision", "float32", "-q")
    done = edgekit(*words, cwd=tmp_path)
    assert "EK-RECORD" not in done.stderr, done.stderr
    (run,) = (path.name for path in (tmp_path / ".edgekit" / "runs").iterdir())
    assert server.book.runs()[run] == "FINISHED"
    assert server.book.of(run, "tags")["edgekit.command"] == "convert"
    assert server.book.of(run, "latest_metrics")["float32/size_bytes"] > 0
    assert {path.name for path in tmp_path.iterdir()} == {".edgekit", "build", "edgekit.toml"}


Behave = Callable[[socket.socket], None]


def says(body: bytes, kind: str = "application/json", status: str = "200 OK") -> Behave:
    """A server that has one answer to all."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"

    def behave(connection: socket.socket) -> None:
        while connection.recv(1 << 16):
            connection.sendall(f"{head}\r\n".encode() + body)

    return behave


def endless(connection: socket.socket) -> None:
    """A server whose answer has no end."""
    if connection.recv(1 << 16):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
        while True:
            connection.sendall(b" " * (1 << 20))


def slowly(connection: socket.socket) -> None:
    """A server that answers a byte at a time, and never falls silent for long."""
    if connection.recv(1 << 16):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
        while True:
            time.sleep(0.2)
            connection.sendall(b" ")


ELSEWHERE = (
    b'{"experiment": {"experiment_id": "1", "name": "digits"}, "runs": [{"info": {"run_id": "a",'
    b' "experiment_id": "1", "status": "RUNNING", "artifact_uri": "file:///tmp/elsewhere"},'
    b' "data": {}}]}'
)


@pytest.mark.parametrize(
    ("behave", "why", "wait"),
    [
        pytest.param(says(b"<html>Welcome</html>", "text/html"), "", 60, id="a page"),
        pytest.param(says(b"no", "text/plain", "502 Bad Gateway"), "502", 60, id="a gateway"),
        pytest.param(says(b'{"experiment": []}'), "", 60, id="other JSON"),
        pytest.param(says(b"[" * 100_000), "", 60, id="nested"),
        pytest.param(says(b"", status="302 Found\r\nLocation: /again"), "", 60, id="a circle"),
        pytest.param(says(ELSEWHERE), "--serve-artifacts", 60, id="a folder of this machine"),
        pytest.param(endless, "", 20, id="endless"),
        pytest.param(slowly, "it took more than 4 s", 4, id="slow"),
    ],
)
def test_answer_that_is_none_loses_nothing_and_fails_no_run(
    workshop: Workshop, caplog: pytest.LogCaptureFixture, behave: Behave, why: str, wait: int
) -> None:
    with answering(behave) as uri:
        recording(workshop, uri, wait=wait)
        assert workshop.edgekit("registry", "add")[0] == 0
    (warning,) = caplog.messages
    assert "EK-RECORD-011: 1 of 1 records" in warning
    assert why in warning
    assert "\n" not in warning
    (entry,) = kept(workshop.root)
    assert (entry / "files" / "models" / "int8" / "model.tflite").read_bytes() == b"model first"
    assert not Path("/tmp/elsewhere").exists()  # noqa: S108


def test_locked_database_gets_it_later(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    recording(workshop, "true", wait=4)
    book = sqlite3.connect(workshop.root / "mlflow.db")
    book.execute("begin exclusive")
    assert workshop.edgekit("registry", "add")[0] == 0
    (warning,) = caplog.messages
    assert "EK-RECORD-011" in warning
    book.rollback()
    book.close()
    code, text = workshop.edgekit("registry", "sync")
    assert (code, "sent digits:1" in text) == (0, True), text


def test_full_disk_of_the_database_gets_it_later(workshop: Workshop) -> None:
    recording(workshop, "sqlite:///small/mlflow.db", 'artifacts = "small/files"\n')
    small = workshop.root / "small"
    small.mkdir()
    room = (workshop.root / "mlflow.db").stat().st_size // 1024 + 8
    words = f"mount -t tmpfs -o size={room}k none small; cp mlflow.db small/; "
    command = f"{words} exec {EDGEKIT} registry add"
    unshare = ("unshare", "--mount") if os.getuid() == 0 else ("unshare", "-rm")
    done: Any = subprocess.run(
        [*unshare, "sh", "-ec", command],
        cwd=workshop.root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    if "not permitted" in done.stderr:
        pytest.skip("mounts are not permitted here")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("EK-RECORD-011") == 1, done.stderr
    assert len(kept(workshop.root)) == 1
    recording(workshop, "true")
    assert workshop.edgekit("registry", "sync")[0] == 0
    assert f"bundles/{HOST}/digits.tar.gz" in Book(workshop.root / "mlflow.db").artefacts("run-1")


def test_client_that_is_not_installed_is_named(
    workshop: Workshop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = workshop.root / "hidden"
    (hidden / "mlflow").mkdir(parents=True)
    (hidden / "mlflow" / "__init__.py").write_text(
        "raise ModuleNotFoundError('No module named mlflow', name='mlflow')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    recording(workshop, "true")
    assert workshop.edgekit("registry", "add")[0] == 0
    (warning,) = caplog.messages
    assert "pip install 'edgekit[mlflow]'" in warning
    assert len(kept(workshop.root)) == 1
