"""The files that an image and a cluster need of a project, by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from edgekit.containers import docker
from edgekit.containers.hashes import unhashed, with_hashes
from edgekit.containers.manifest import MARK
from edgekit.containers.requirements import NOT_SERVING, requirements
from edgekit.containers.serving import serving_manifests
from edgekit.containers.training import manifests
from edgekit.project import Project
from edgekit.project.strategies import MULTI_WORKER
from edgekit.usercode import is_reference

WHEELS = (
    f"{MARK}: wheels that no index has lie in this folder, such as one of edgekit itself:\n"
    "    pip wheel --no-deps --wheel-dir . PATH\n"
)


def containers(project: Project, name: str, folder: str, hashes: bool = False) -> Mapping[str, str]:
    """Return the texts of the files, for a model that is called so.

    ``folder`` is theirs below the project. Images that train are of models of one's own function,
    and manifests of what ``[containers]`` and ``[train.kubernetes]`` name an image for. Raises
    :class:`ProjectError` where a package is not installed whose version would be pinned, and with
    ``hashes``, which asks the package index, where one is not to be had.
    """
    files = {"wheels/README.txt": WHEELS}
    bundle = docker.newest_bundle(project.root)
    path = project.root / bundle
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    files |= _image(docker.SERVING, docker.serving_file(folder, bundle, digest), folder)
    listed = {"requirements-serving.txt": requirements(("serve",), NOT_SERVING)}
    if project.containers.image:
        files["serving.yaml"] = serving_manifests(name, project.containers)
    if is_reference(project.model.source):
        files |= _image(docker.TRAINING, docker.training_file(folder), folder)
        recorded = ("mlflow",) if project.record.mlflow else ()
        listed["requirements-training.txt"] = requirements(recorded)
    if project.train.kubernetes.image and project.train.strategy == MULTI_WORKER:
        files["training.yaml"] = manifests(name, project.train, text_of(project.origin))
    wheels = project.root / folder / "wheels"
    for file, text in listed.items():
        files[file] = with_hashes(text, wheels) if hashes else unhashed(text)
    return files


def text_of(origin: Path | None) -> str:
    """Return the text of a project's own file, as a cluster reads it again."""
    known = origin is not None and origin.suffix == ".toml" and origin.name == "edgekit.toml"
    return origin.read_text(encoding="utf-8") if origin is not None and known else ""


def _image(kind: str, text: str, folder: str) -> dict[str, str]:
    name = f"{kind}.Dockerfile"
    return {name: text, f"{name}.dockerignore": docker.ignored(folder, kind)}
