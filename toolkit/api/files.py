"""Limits on ``.tflite`` files, without running them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.converters.runtime_table import release, table
from edgekit.errors import ProjectError, did_you_mean
from edgekit.gate.statuses import EXIT_CODES, worst
from edgekit.inspection import FileLimits, check_file
from edgekit.targets import catalog
from edgekit.types import CheckResult, Verdict

if TYPE_CHECKING:
    from edgekit.project import Project


def check_files(
    paths: Sequence[Path], limits: FileLimits, projects: Sequence[Project] = ()
) -> Verdict:
    """Check files by their bytes: size, operators, minimum runtime, targets by the tables.

    With ``projects`` a file that is one of theirs is held to their budgets and lock too. Raises
    :class:`ProjectError` where a limit is not one, or there is none at all; :class:`ModelError`
    where a file is damaged.
    """
    if limits.empty and not projects:
        hint = "say --max-size, --forbid-operator, --allow-operator, --max-runtime or --target"
        hint += ", or work in a project's folder: its budgets and lock are limits"
        raise ProjectError("EK-FILES-001", "there is no limit to check the files by", hint)
    known = {name for name, _ in table().operators}
    for name in (*limits.allowed, *limits.forbidden):
        # A custom operator has any name, but none in capitals that is nearly one of TFLite's.
        if name.isupper() and name not in known:
            message = f"TFLite has no operator {name!r}{did_you_mean(name, known)}"
            hint = "`edgekit inspect FILE` lists a file's operators as they are called"
            raise ProjectError("EK-FILES-002", message, hint)
    if limits.runtime is not None:
        _check_release(limits.runtime)
    limits = replace(limits, targets=tuple(map(_target, limits.targets)))
    checks = tuple(check for path in paths for check in check_file(path, limits))
    checks += tuple(check for path in paths for check in _by_projects(path, projects))
    status = worst(check.status for check in checks)
    return Verdict(status, int(EXIT_CODES[status]), checks)


def _by_projects(path: Path, projects: Sequence[Project]) -> Iterator[CheckResult]:
    """Check a file by what its project and its lock say of it."""
    for project in projects:
        # Not for who names limits alone: a hook is to be quick.
        from edgekit.api.file_limits import checks_of

        yield from checks_of(path, project)


def _target(name: str) -> str:
    own = catalog.own_id(name)
    if own not in catalog.names():
        close = did_you_mean(name, catalog.spoken()).lstrip("; ")
        hint = f"{close} known: {', '.join(catalog.names())}".lstrip()
        raise ProjectError("EK-PROJECT-004", f"unknown target {name!r}", hint)
    return own


def _check_release(text: str) -> None:
    try:
        release(text)
    except ValueError as error:
        message = f"{text!r} is not a release of TensorFlow"
        raise ProjectError("EK-FILES-003", message, "write one such as 2.14") from error
