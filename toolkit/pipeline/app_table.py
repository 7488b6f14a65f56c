"""What ``[bundle]`` and ``[model]`` of the project file add to a bundle, read from their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.errors import ProjectError
from edgekit.project import Project
from edgekit.targets.bundles import Contents, Licence, SigningKey, read_key


def with_app(contents: Contents, project: Project) -> Contents:
    """Return the contents with the names, the licence and the files that the project gives.

    Raises :class:`ProjectError` where a file is missing, or lies outside the project.
    """
    table, model = project.bundle, project.model
    return replace(
        contents,
        app_id=table.app_id or "",
        namespace=table.namespace or "",
        licence=_licence(table.licence, project.root) if table.licence else _told(model.license),
        description=model.description or "",
        author=model.author or "",
        extra_files=_extra_files(table.extra_files, project.root),
    )


def signing_key(project: Project) -> SigningKey | None:
    """Return the key that ``[bundle] sign`` names, where it names one."""
    named = project.bundle.sign
    return read_key(project.root / named) if named else None


def _licence(wanted: str, root: Path) -> Licence:
    """Return the licence of a file, or of an SPDX id or expression."""
    from cyclonedx.spdx import is_expression

    file = root / wanted
    if file.is_file():
        return Licence(text=file.read_text(encoding="utf-8", errors="replace"))
    if is_expression(wanted):
        return Licence(spdx=wanted)
    message = f"[bundle] licence: {wanted!r} is neither a file of the project nor an SPDX id"
    hint = "ids are listed at https://spdx.org/licenses, such as Apache-2.0 or MIT"
    raise ProjectError("EK-PROJECT-073", message, hint)


def _told(words: str | None) -> Licence:
    """Return the licence that ``[model] license`` tells in words of its own."""
    from cyclonedx.spdx import is_expression

    if not words:
        return Licence()
    return Licence(spdx=words) if is_expression(words) else Licence(text=f"{words}\n")


def _extra_files(named: tuple[str, ...], root: Path) -> Mapping[str, bytes]:
    """Return the user's files by their path below the project; of a folder, all that it holds."""
    extra: dict[str, bytes] = {}
    for name in named:
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()) or not path.exists():
            why = "is not there" if path.is_relative_to(root.resolve()) else "lies outside"
            message = f"[bundle] extra_files: {name!r} {why}"
            hint = f"files and folders below {root}, by their path from there"
            raise ProjectError("EK-PROJECT-074", message, hint)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                extra[file.relative_to(root.resolve()).as_posix()] = file.read_bytes()
    return extra
