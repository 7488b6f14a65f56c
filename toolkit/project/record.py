"""``[record]`` of the project file: where runs and versions are recorded besides the registry."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from edgekit.project.table import Table
from edgekit.project.units import Seconds

SCHEMES = ("sqlite:///", "http://", "https://")


def _store(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and value.startswith(SCHEMES)):
        return value
    raise ValueError(
        f"{str(value)[:80]!r} is neither true nor an address that begins with"
        f" {', '.join(SCHEMES)}: other databases and disks are reached through a server of MLflow"
    )


class RecordTable(Table):
    """Where runs, versions and aliases are recorded besides ``registry/``: in MLflow."""

    mlflow: Annotated[bool | str, BeforeValidator(_store)] = False
    """Record in MLflow: true for mlflow.db and mlartifacts/ beside the project file, or a database
    or a server by its address. ``mlflow = "http://127.0.0.1:5000"``
    """
    experiment: str | None = Field(default=None, pattern=r"\S")
    """The experiment of MLflow. Default: the model's name. ``experiment = "speech"``"""
    artifacts: str | None = Field(default=None, pattern=r"\S")
    """The folder for models and bundles where MLflow is a database. Default: mlartifacts.

    ``mlflow = "sqlite:///mlflow.db"``, ``artifacts = "mlartifacts"``
    """
    wait: Seconds = 60.0
    """The most that a command waits for MLflow; what is not sent by then is sent later.

    ``wait = "60 s"``
    """
