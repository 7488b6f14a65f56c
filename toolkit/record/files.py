"""What a version keeps of its run: the report, and each target's model and bundles."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edgekit.errors import RecordError
from edgekit.record.version import KeptFile, ShippedTarget
from edgekit.store import sha256
from edgekit.types import Bundle, Candidate, Report, TargetResult

REPORT = "report.json"
DETAILS = "details.json"
MODEL = "model.tflite"


def keep(report: Report, run: Path, folder: Path) -> dict[str, ShippedTarget]:
    """Copy what a run's targets ship into a version's folder, with its report, and say what.

    Raises :class:`RecordError` where a file is gone, or is not the one that the run judged.
    """
    shutil.copyfile(run / REPORT, folder / REPORT)
    if (run / DETAILS).is_file():
        shutil.copyfile(run / DETAILS, folder / DETAILS)
    candidates = {candidate.id: candidate for candidate in report.candidates}
    return {
        result.id: _keep_target(result, candidates[result.candidate], run, folder)
        for result in report.targets
        if result.candidate in candidates
    }


def _keep_target(
    result: TargetResult, candidate: Candidate, run: Path, folder: Path
) -> ShippedTarget:
    below = folder / "targets" / _name(result.id)
    below.mkdir(parents=True)
    places = [run / "build" / candidate.id / MODEL]
    places += [candidate.path] if candidate.path else []
    what = f"the model of {result.id}"
    model = _kept(_found(what, places, candidate.sha256), below / MODEL, folder)
    bundles = tuple(
        _kept(_found(f"the bundle of {result.id}", _places(run, bundle), bundle.sha256),
              below / _name(bundle.path.name), folder, bundle.kind)
        for bundle in _bundles(result)
    )  # fmt: skip
    return ShippedTarget(candidate.id, model, candidate.semantic_hash, bundles)


def _bundles(result: TargetResult) -> Iterator[Bundle]:
    if result.bundle is not None:
        yield result.bundle
    yield from result.further_bundles


def _places(run: Path, bundle: Bundle) -> list[Path]:
    return [run / "dist" / _name(bundle.path.name), bundle.path]


def _name(text: str) -> str:
    """Return a file's name from a report, which may be of another hand: no path."""
    if text in ("", ".", "..") or PurePosixPath(text).name != text or "\\" in text:
        message = f"the report has {text[:60]!r} where it has the name of a target or a file"
        raise RecordError("EK-RECORD-002", message, "register a run that edgekit made here")
    return text


def _found(what: str, places: list[Path], digest: str) -> Path:
    """Return the first of the places where the file lies that the run judged."""
    there = [path for path in places if path.is_file()]
    for path in there:
        if sha256(path) == digest:
            return path
    where = there or places
    state = "was replaced since the run" if there else "is gone"
    hint = "register a run before the next one: `edgekit convert`, then `edgekit registry add`"
    raise RecordError("EK-RECORD-002", f"{what} {state}: {where[-1]}", hint)


def _kept(source: Path, path: Path, folder: Path, kind: str = "") -> KeptFile:
    shutil.copyfile(source, path)
    return KeptFile(path.relative_to(folder).as_posix(), sha256(path), path.stat().st_size, kind)


def damaged(folder: Path, targets: dict[str, ShippedTarget]) -> Iterator[str]:
    """Yield what is wrong with a version's files: gone, or not as they were registered."""
    for target in targets.values():
        for file in (target.model, *target.bundles):
            path = folder / file.path
            if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
                yield f"{file.path} lies outside the version"
            elif not path.is_file():
                yield f"{file.path} is gone"
            elif sha256(path) != file.sha256:
                yield f"{file.path} is not the file that was registered"
