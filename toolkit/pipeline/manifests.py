"""Files for images and clusters, written into a folder of the user's."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from edgekit.containers import MARK, containers, manifests
from edgekit.containers.docker import newest_bundle
from edgekit.containers.files import text_of
from edgekit.errors import BundleError, ProjectError
from edgekit.gate.lock import FILE as LOCK
from edgekit.gate.lock import read_lock
from edgekit.pipeline.plan import Options, Plan
from edgekit.project import Project
from edgekit.store import write_text, writing
from edgekit.targets.bundles.contents import MANIFEST
from edgekit.targets.bundles.reading import read_archive

LOG = logging.getLogger("edgekit")

FILE = "training.yaml"


def training_manifests(project: Project, folder: Path, force: bool = False) -> Path:
    """Write the manifests of a training in several workers into a folder.

    Raises :class:`ProjectError` where a file of the user's is there, unless it is to be forced.
    """
    text = manifests(_name(project), project.train, text_of(project.origin))
    (path,) = _write({FILE: text}, folder, force)
    return path


def container_files(
    project: Project, folder: Path, force: bool = False, hashes: bool = False
) -> tuple[Path, ...]:
    """Write Dockerfiles, what they install, and Kubernetes manifests into a folder.

    With ``hashes`` the package index is asked for the sha256 of what they install. A bundle whose
    model the lock does not name is warned of. Raises :class:`ProjectError` for a folder outside the
    project, whose files no build would see, where a file of the user's is there, unless it is to be
    forced, and where a hash is not to be had.
    """
    below = Path(os.path.relpath(folder.resolve(), project.root.resolve())).as_posix()
    if below.startswith(".."):
        message = f"{folder} lies outside the project, where no build of its images sees it"
        raise ProjectError("EK-CONTAINERS-003", message, "name a folder below the project")
    texts = containers(project, _name(project), below, hashes)
    paths = _write(texts, folder, force)
    _hold_to_lock(project.root / LOCK, project.root / newest_bundle(project.root))
    return paths


def _hold_to_lock(lock: Path, bundle: Path) -> None:
    """Warn of a bundle whose model is not what the lock has for its target."""
    if not lock.is_file() or not bundle.is_file():
        return
    try:
        files = read_archive(bundle)
        manifest = json.loads(files[MANIFEST])
        content, target = files[manifest["model"]["file"]], manifest["target"]
    except (BundleError, KeyError, ValueError, TypeError):
        return
    digest = hashlib.sha256(content).hexdigest()
    locked = [entry.sha256 for entry in read_lock(lock) if entry.tag.target == target]
    if locked and digest not in locked:
        told = "warning EK-CONTAINERS-005: %s holds the model %s, and %s has %s for %s"
        named = " and ".join(one[:12] for one in locked)
        LOG.warning(told, bundle.name, digest[:12], lock.name, named, target)


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
