"""Where a project's records go: a database or a server, and the outbox on the way there."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from edgekit.project import Project

DATABASE, FILES = "mlflow.db", "mlartifacts"
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Place:
    """Where records go: ``uri`` as MLflow takes it in ``folder``, and a database's ``artifacts``.

    A server has ``artifacts`` of its own. A command waits ``seconds`` at most.
    """

    uri: str
    outbox: Path
    experiment: str
    artifacts: Path | None = None
    folder: Path | None = None
    seconds: float = 60.0

    @property
    def title(self) -> str:
        """Its address for people: without a name or a password."""
        if self.uri.startswith(SQLITE):
            return f"{SQLITE}{self.folder}/{self.uri.removeprefix(SQLITE)}"
        parts = urllib.parse.urlsplit(self.uri)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def place_of(project: Project, model: str, output: Path | None = None) -> Place | None:
    """Return where the records of a model go, or None where they go nowhere.

    The outbox is beside the runs, in the folder that they are written to: a project may be on a
    disk that cannot be written.
    """
    table, root = project.record, project.root.resolve()
    if not table.mlflow:
        return None
    uri = f"{SQLITE}{DATABASE}" if table.mlflow is True else str(table.mlflow)
    artifacts = folder = None
    if uri.startswith(SQLITE):
        database = root / uri.removeprefix(SQLITE)
        # Whatever the folder is called: an address has letters that mean something else.
        uri, folder = f"{SQLITE}{database.name}", database.parent
        artifacts = root / (table.artifacts or FILES)
    outbox = (output or root).resolve() / ".edgekit" / "outbox"
    experiment = table.experiment or model
    return Place(uri, outbox, experiment, artifacts, folder, table.wait)
