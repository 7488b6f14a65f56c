"""What an image installs: the packages of this environment, each in the version that is here."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgekit.containers.manifest import MARK
from edgekit.errors import ProjectError

EDGEKIT = "edgekit"
# What trains, converts and talks to boards. Without it an image is a seventh of the size.
NOT_SERVING = frozenset(
    (
        *("tensorflow", "tf-keras", "tensorflow-model-optimization", "tensorboard", "h5py"),
        *("scikit-learn", "pyserial", "detools", "cyclonedx-python-lib"),
    )
)


def requirements(extras: Collection[str], without: Collection[str] = ()) -> str:
    """Return a file of requirements: edgekit with its extras, and all that they need, to the patch.

    Raises :class:`ProjectError` where something of it is not installed here.
    """
    found: dict[str, str] = {}
    _add(Requirement(f"{EDGEKIT}[{','.join(extras)}]" if extras else EDGEKIT), without, found)
    lines = [f"{name}=={version}" for name, version in sorted(found.items())]
    about = f"{MARK}: Python {platform.python_version()} on {platform.machine()}."
    return "\n".join((about, *lines)) + "\n"


def _add(wanted: Requirement, without: Collection[str], pinned: dict[str, str]) -> None:
    name = canonicalize_name(wanted.name)
    try:
        here = metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        message = f"{wanted.name} is not installed here, so its version cannot be pinned"
        extras = ",".join(sorted(wanted.extras)) or "serve"
        hint = f"install what the image is to have, then try again: pip install 'edgekit[{extras}]'"
        raise ProjectError("EK-CONTAINERS-002", message, hint) from error
    new = name not in pinned
    pinned[name] = here.version
    for needed in _needed(here, wanted.extras, new):
        if canonicalize_name(needed.name) not in without:
            _add(needed, without, pinned)


def _needed(
    here: metadata.Distribution, extras: Collection[str], new: bool
) -> Iterator[Requirement]:
    """Yield what a package needs on this machine; one that was seen, by its extras alone."""
    for text in here.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        plain = marker is None or marker.evaluate({"extra": ""})
        asked = marker is not None and any(marker.evaluate({"extra": one}) for one in extras)
        if (plain and new) or (asked and not plain):
            yield requirement
