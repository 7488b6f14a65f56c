"""Which kinds of bundle a target gets, and how their files are called."""

from __future__ import annotations

from edgekit.errors import ProjectError, did_you_mean
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, Contents
from edgekit.targets.catalog import Target


def kinds_of(target: Target, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds wanted that the target has, in its own order; its default without any.

    Raises :class:`ProjectError` for a kind that no target has.
    """
    known = {*LAYOUTS, *(kind for one in catalog.every() for kind in one.bundles)}
    for kind in wanted:
        if kind not in known:
            message = f"there is no kind of bundle {kind!r}{did_you_mean(kind, known)}"
            raise ProjectError("EK-PROJECT-072", message, f"known: {', '.join(sorted(known))}")
    return tuple(kind for kind in target.bundles if kind in wanted) or (target.bundle,)


def file_name(contents: Contents, target: Target, kind: str) -> str:
    """Return the name of a bundle's file: that of a kind beside the default one tells it."""
    name = f"{contents.name}-{contents.version}-{target.id}"
    return f"{name}.tar.gz" if kind == target.bundle else f"{name}-{kind}.tar.gz"
