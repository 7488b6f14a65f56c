"""Limits on ``.tflite`` files, without running them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.converters.runtime_table import release, table
from edgekit.errors import ProjectError, did_you_mean
from edgekit.gate.statuses import EXIT_CODES, worst
from edgekit.inspection import FileLimits, check_file
from edgekit.targets import catalog
from edgekit.types import Verdict


def check_files(paths: Sequence[Path], limits: FileLimits) -> Verdict:
    """Check files by their bytes: size, operators, minimum runtime, targets by the tables.

    Raises :class:`ProjectError` where a limit is none, or there is none at all;
    :class:`ModelError` where a file is damaged.
    """
    if limits.empty:
        hint = "say --max-size, --forbid-operator, --allow-operator, --max-runtime or --target"
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
    status = worst(check.status for check in checks)
    return Verdict(status, int(EXIT_CODES[status]), checks)


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
        message = f"{text!r} is no release of TensorFlow"
        raise ProjectError("EK-FILES-003", message, "write one such as 2.14") from error
