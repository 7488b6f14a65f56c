"""Files for images and clusters, written into a folder of the user's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edgekit.containers import MARK, containers, manifests
from edgekit.containers.files import text_of
from edgekit.errors import ProjectError
from edgekit.pipeline.plan import Options, Plan
from edgekit.project import Project
from edgekit.store import write_text, writing

FILE = "training.yaml"


def training_manifests(project: Project, folder: Path, force: bool = False) -> Path:
    """Write the manifests of a training in several workers into a folder.

    Raises :class:`ProjectError` where a file of the user's is there, unless it is to be forced.
    """
    text = manifests(_name(project), project.train, text_of(project.origin))
    (path,) = _write({FILE: text}, folder, force)
    return path


def container_files(project: Project, folder: Path, force: bool = False) -> tuple[Path, ...]:
    """Write Dockerfiles, what they install, and Kubernetes manifests into a folder.

    Raises :class:`ProjectError` for a folder outside the project, whose files no build would see,
    and where a file of the user's is there, unless it is to be forced.
    """
    below = Path(os.path.relpath(folder.resolve(), project.root.resolve())).as_posix()
    if below.startswith(".."):
        message = f"{folder} lies outside the project, where no build of its images sees it"
        raise ProjectError("EK-CONTAINERS-003", message, "name a folder below the project")
    return _write(containers(project, _name(project), below), folder, force)


def _name(project: Project) -> str:
    return Plan.of_model(project, Options()).name


def _write(texts: Mapping[str, str], folder: Path, force: bool) -> tuple[Path, ...]:
    """Write all files, or none of them."""
    paths = {folder / name: text for name, text in texts.items()}
    for path in paths:
        if path.exists() and not force and not path.read_text("utf-8", "replace").startswith(MARK):
            message = f"{path} is there already, and edgekit did not write it"
            raise ProjectError("EK-TRAIN-029", message, "name another folder, or say --force")
    with writing(folder):
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
    return tuple(paths)
