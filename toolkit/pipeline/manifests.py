"""The manifests of a training on Kubernetes, as a file."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import ProjectError
from edgekit.pipeline.plan import Options, Plan
from edgekit.project import Project
from edgekit.store import write_text, writing
from edgekit.training import kubernetes

FILE = "training.yaml"


def training_manifests(project: Project, folder: Path, force: bool = False) -> Path:
    """Write the manifests of a training in several workers into a folder.

    Raises :class:`ProjectError` where a file of the user's is there, unless it is to be forced.
    """
    text = kubernetes.manifests(Plan.of_model(project, Options()).name, project.train)
    path = folder / FILE
    if path.exists() and not force and not path.read_text().startswith(kubernetes.HEAD):
        message = f"{path} is there already, and edgekit did not write it"
        raise ProjectError("EK-TRAIN-029", message, "name another folder, or say --force")
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return path
