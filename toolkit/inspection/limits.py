"""Limits on a ``.tflite`` file that its bytes alone can answer, before anything runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.inspection import Inspection, explain
from edgekit.converters.runtime_table import release
from edgekit.converters.runtime_version import runtime_need
from edgekit.inspection.fit import fits
from edgekit.models import tflite
from edgekit.types import Bound, CheckResult, Measurement, Status


@dataclass(frozen=True)
class FileLimits:
    """What a file may be: its bytes, operators, the runtime that it needs, where it must fit.

    With ``allowed`` operators every other one is forbidden. ``runtime`` is the newest release of
    TensorFlow that the file may need; ``targets`` are judged by the tables of the catalog.
    """

    size: int | None = None
    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    runtime: str | None = None
    targets: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to check."""
        return self == FileLimits()


def check_file(path: Path, limits: FileLimits) -> tuple[CheckResult, ...]:
    """Check a file. Raises :class:`ModelError` where it is not one, or damaged."""
    content = tflite.read_content(path)
    file = flatbuffer.parse(content, str(path))
    return tuple(_checks(path, file, content, limits))


def _checks(
    path: Path, file: TFLiteFile, content: bytes, limits: FileLimits
) -> Iterator[CheckResult]:
    if limits.size is not None:
        yield _size(path, len(content), limits.size)
    if limits.allowed or limits.forbidden:
        yield _operators(path, file, limits)
    if limits.runtime is not None:
        yield _runtime(path, file, limits.runtime)
    if limits.targets:
        digest = hashlib.sha256(content).hexdigest()
        yield from _targets(explain(path, file, digest), limits.targets)


def _size(path: Path, size: int, most: int) -> CheckResult:
    within = size <= most
    return CheckResult(
        "size",
        str(path),
        "",
        Status.PASSED if within else Status.FAILED,
        f"the file has {size:,} bytes" + ("" if within else f", {size - most:,} too many"),
        limit=f"at most {most:,} bytes",
        measured=Measurement(float(size), "byte"),
        bound=Bound(float(most), "byte"),
        fix="" if within else f"`edgekit inspect {path}` lists its largest layers",
    )


def _operators(path: Path, file: TFLiteFile, limits: FileLimits) -> CheckResult:
    names = [operator.name for operator in file.operators]
    wrong = [name for name in dict.fromkeys(names) if name in limits.forbidden]
    if limits.allowed:
        wrong += [name for name in dict.fromkeys(names) if name not in limits.allowed]
    parts = {"without ": limits.forbidden, "only ": limits.allowed}
    limit = "; ".join(word + ", ".join(listed) for word, listed in parts.items() if listed)
    result = partial(CheckResult, "operators", str(path), "", limit=limit)
    if not wrong:
        return result(Status.PASSED, f"it has {', '.join(dict.fromkeys(names)) or 'no operators'}")
    message = f"it has {', '.join(dict.fromkeys(wrong))}"
    fix = f"`edgekit inspect {path} --layers all` shows where; replace that layer, or allow it"
    return result(Status.FAILED, message, fix=fix)


def _runtime(path: Path, file: TFLiteFile, newest: str) -> CheckResult:
    need = runtime_need(file)
    result = partial(
        CheckResult, "minimum runtime", str(path), "", limit=f"at most TensorFlow {newest}"
    )
    if not need.release:
        return result(Status.UNAVAILABLE, f"unavailable, because {need.reason}")
    # 2.14 allows 2.14.1.
    most = release(newest)
    within = release(need.release)[: len(most)] <= most
    message = f"it needs TensorFlow {need.release}"
    if within:
        return result(Status.PASSED, message)
    fix = "convert with --target for that device, which keeps operators at older versions"
    return result(Status.FAILED, f"{message}: {need.forced_by}", fix=fix)


STATUSES = {
    "fits": Status.PASSED,
    "fits in part": Status.FAILED,
    "does not fit": Status.FAILED,
    "not known": Status.UNAVAILABLE,
}


def _targets(inspected: Inspection, targets: tuple[str, ...]) -> Iterator[CheckResult]:
    for row in fits(inspected):
        if row.target not in targets:
            continue
        against = [cell for cell in row.cells if cell.verdict not in ("fits", "does not apply")]
        reason = "; ".join(dict.fromkeys(cell.reason for cell in against if cell.reason))
        fix = next((cell.fix for cell in against if cell.fix), "")
        status = STATUSES[row.verdict]
        if status is Status.PASSED:
            reason = "it fits, by the tables"
        yield CheckResult(
            "target",
            str(inspected.path),
            row.target,
            status,
            reason or row.verdict,
            "by the tables of the catalog",
            fix=fix,
        )
