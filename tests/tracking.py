"""What a database of MLflow holds, read without MLflow; and servers that mean harm."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from ratchet import HOST, Workshop
from registering import run_with_files

from conftest import once


@dataclass(frozen=True)
class Book:
    """A database of MLflow."""

    path: Path

    def ask(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        place = f"file:{quote(str(self.path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(place, uri=True)) as book:
            return book.execute(question, values).fetchall()

    def runs(self) -> dict[str, str]:
        """The status of each run by edgekit's name of it."""
        return dict(self.ask("select name, status from runs"))

    def of(self, run: str, table: str) -> dict[str, Any]:
        """The metrics, params or tags of a run."""
        join = f"select t.key, t.value from {table} t join runs r using (run_uuid)"  # noqa: S608
        return dict(self.ask(f"{join} where r.name = ?", run))

    def versions(self) -> dict[int, str]:
        """The run of each version of edgekit's."""
        question = "select key, value, version from model_version_tags"
        tags: dict[int, dict[str, str]] = {}
        for key, value, number in self.ask(question):
            tags.setdefault(number, {})[key] = value
        return {int(one["edgekit.version"]): one["edgekit.run"] for one in tags.values()}

    def holder(self, alias: str) -> int | None:
        """The version of MLflow's own that an alias stands for."""
        found = self.ask("select version from registered_model_aliases where alias = ?", alias)
        return found[0][0] if found else None

    def artefacts(self, run: str) -> dict[str, bytes]:
        ((uri,),) = self.ask("select artifact_uri from runs where name = ?", run)
        folder = Path(unquote(str(uri).removeprefix("file://")))
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


def recording(workshop: Workshop, uri: str, more: str = "", wait: int = 600) -> None:
    """Let the project record in MLflow; a busy machine has the time that it takes."""
    value = uri if uri == "true" else f'"{uri}"'
    workshop.project(f'[record]\nmlflow = {value}\nwait = "{wait} s"\n{more}')


def kept(root: Path) -> list[Path]:
    """The entries of the outbox."""
    outbox = root / ".edgekit" / "outbox"
    return sorted(path.parent for path in outbox.glob("*/entry.json"))


def nobody() -> str:
    """The address of a server that is away."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@contextlib.contextmanager
def answering(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that treats each connection so."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def treat(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                behave(connection)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=treat, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _new_book(folder: Path) -> None:
    """Make a database, which takes MLflow seconds: the newest one is upgraded from the first."""
    code = "import sys, mlflow; mlflow.MlflowClient(sys.argv[1]).search_experiments()"
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    subprocess.run([sys.executable, "-c", code, uri], check=True, cwd=folder, capture_output=True)


@pytest.fixture(scope="session")
def new_book(shared: Path) -> Path:
    """A database of MLflow that holds nothing, to be copied."""
    return once(shared / "mlflow-book", _new_book) / "mlflow.db"


@pytest.fixture
def workshop(tmp_path: Path, new_book: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A project with a run and MLflow's database, on a machine that is its target."""
    # An address has letters that a folder has too.
    root = tmp_path / "a b#c%41"
    root.mkdir()
    shutil.copyfile(new_book, root / "mlflow.db")
    monkeypatch.setattr("edgekit.targets.catalog.host", lambda: HOST)
    made = Workshop(root)
    made.project()
    run_with_files(made, "first", range(100))
    return made
