"""What ``evaluate``, ``compare`` and ``bench`` leave of a run: the JSON they print, read back."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, TypeVar

from edgekit import nearby, strict_json
from edgekit.decoding import decode
from edgekit.errors import ProjectError
from edgekit.report import details, document
from edgekit.report.measurements import to_json
from edgekit.report.migrations import tell_shares
from edgekit.store import write_text
from edgekit.types import BenchReport, Compared, Evaluated, Report

EVALUATE, COMPARE, BENCH = "evaluate.json", "compare.json", "bench.json"
LARGEST = 64 << 20
T = TypeVar("T")


def write_measured(done: Evaluated | Compared, folder: Path) -> None:
    """Write what was found into its run's folder, with its details where there are any."""
    text = json.dumps(to_json(done), indent=2, allow_nan=False) + "\n"
    if isinstance(done, Compared):
        file, drawn = COMPARE, done.details
    else:
        file, drawn = EVALUATE, done.drawn
    write_text(folder / file, text)
    if drawn is not None:
        details.write(drawn, folder)


def read_evaluated(folder: Path) -> Evaluated:
    """Read an evaluation. Raises :class:`ProjectError` where it is not there, or is damaged."""
    return _read(folder / EVALUATE, Evaluated, "evaluate")


def read_compared(folder: Path) -> Compared:
    """Read a comparison. Raises :class:`ProjectError` where it is not there, or is damaged."""
    return _read(folder / COMPARE, Compared, "compare")


def read_bench(folder: Path) -> BenchReport:
    """Read a bench. Raises :class:`ProjectError` where it is not there, or is damaged."""
    return _read(folder / BENCH, BenchReport, "bench")


def read_run(folder: Path) -> Report | Evaluated | Compared | BenchReport:
    """Read what any command left in its run's folder. Raises :class:`ProjectError` as they do."""
    if (folder / EVALUATE).is_file():
        return read_evaluated(folder)
    if (folder / COMPARE).is_file():
        return read_compared(folder)
    if (folder / BENCH).is_file():
        return read_bench(folder)
    return document.read(folder)


def _read(path: Path, kind: type[T], command: str) -> T:
    if not path.is_file():
        hint = f"name the folder of a run of `edgekit {command}`"
        raise ProjectError("EK-REPORT-001", f"there is no report {path}", nearby.hint(path, hint))
    try:
        report = strict_json.loads(strict_json.bounded(path, LARGEST))
        tell_shares(report)
        if not _validator(command).is_valid(report):
            raise ValueError(_explained(command, report))
        return decode(report, kind)
    except (OSError, ValueError, TypeError) as error:
        hint = f"it is damaged or not what `edgekit {command}` wrote: {error}"
        raise ProjectError("EK-REPORT-002", f"{path} cannot be read", hint) from error


@functools.cache
def _validator(command: str) -> Any:
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(_schema(command))


@functools.cache
def _schema(command: str) -> Any:
    path = Path(__file__).resolve().with_name(f"{command}.schema.json")
    return json.loads(path.read_text(encoding="utf-8"))


def _explained(command: str, document: Any) -> str:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(_schema(command)).iter_errors(document))
    return "it has another shape" if error is None else f"{error.json_path}: {error.message[:200]}"
