"""Checking a bundle: its paths, its digests, its model against its golden pairs.

The manifest names the digest of every file but its own: who changes it with them is not seen.

Nothing of the bundle runs but its model, in edgekit's own runner.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edgekit import scratch
from edgekit.converters import flatbuffer
from edgekit.errors import BundleError, DeviceError, EdgekitError, NoBundleError, RunnerError
from edgekit.process import Limits
from edgekit.targets import catalog
from edgekit.targets.bundles.archive import MANIFEST
from edgekit.targets.bundles.manifest import carrying, preprocess_of, read_manifest
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNER_FILES
from edgekit.types import ExpectedOutput, Json, Request, RunnerModel

MOST_FILES = 10_000
MOST_BYTES = 4 << 30
CHUNK = 1 << 20
SELFTEST_SECONDS = 300.0
PASSED = "passed"
# Quantization steps by which a golden output may differ in any case.
MOST_STEPS = 16


@dataclass(frozen=True)
class Verified:
    """A bundle that holds what it says: its manifest, file count, and self-test per runtime."""

    manifest: Mapping[str, Json]
    files: int
    selftests: Mapping[str, str]

    @property
    def tested(self) -> bool:
        """Whether the model gave its golden outputs on a runtime here."""
        return any(outcome.startswith(PASSED) for outcome in self.selftests.values())


def verify(path: Path) -> Verified:
    """Check the bundle at ``path``.

    Raises :class:`BundleError` for an unreadable archive, an unsafe path, a missing, unlisted or
    changed file, or a self-test that fails on a runtime that works here.
    """
    if not path.is_file():
        raise NoBundleError("EK-BUNDLE-001", f"there is no bundle {path}")
    files = _read(path)
    if MANIFEST not in files:
        raise BundleError("EK-BUNDLE-004", f"{path} has no {MANIFEST}")
    manifest = read_manifest(path, files[MANIFEST])
    _check_files(path, files, {name: one["sha256"] for name, one in manifest["files"].items()})
    with scratch.held(prefix="edgekit-verify-") as folder:
        unpacked = folder / "bundle"
        for name, content in files.items():
            file = unpacked / name
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            except (FileExistsError, NotADirectoryError, IsADirectoryError, ValueError) as error:
                raise _unsafe(path, name) from error
        selftests = _selftests(path, manifest, unpacked)
    return Verified(manifest, len(files), selftests)


def _read(path: Path) -> dict[str, bytes]:
    """Return regular files by their path below the bundle's one root folder."""
    files: dict[str, bytes] = {}
    roots: set[str] = set()
    total = 0
    try:
        with gzip.open(path) as zipped, tarfile.open(fileobj=zipped, mode="r:") as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                if not member.isreg() or member.name.startswith("/") or ".." in parts:
                    raise _unsafe(path, member.name)
                name = "/".join(parts[1:])
                total += member.size
                roots.update(parts[:1])
                if not name or name in files or len(roots) > 1:
                    raise _unsafe(path, member.name)
                if total > MOST_BYTES or len(files) > MOST_FILES:
                    raise _unsafe(path, member.name)
                content = archive.extractfile(member)
                files[name] = content.read() if content else b""
            # tarfile stops at what it takes for the end, and never sees the checksum after it.
            zipped.seek(archive.offset)
            for rest in iter(lambda: zipped.read(CHUNK), b""):
                if any(rest):
                    raise tarfile.TarError("something follows its last file")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        hint = f"it is truncated or damaged: {error}"
        raise BundleError("EK-BUNDLE-002", f"{path} cannot be read as a bundle", hint) from error
    return files


def _unsafe(path: Path, member: str) -> BundleError:
    hint = "a bundle holds regular files, each once, below one folder: do not unpack this one"
    return BundleError("EK-BUNDLE-003", f"{path} holds the unsafe entry {member!r}", hint)


def _check_files(path: Path, files: Mapping[str, bytes], listed: Mapping[str, str]) -> None:
    problems = [f"{name} is missing" for name in listed if name not in files]
    problems += [f"{n} is not in the manifest" for n in files if n != MANIFEST and n not in listed]
    problems += [
        f"{name} was changed"
        for name, content in files.items()
        if name in listed and hashlib.sha256(content).hexdigest() != listed[name]
    ]
    if problems:
        raise BundleError(
            "EK-BUNDLE-005", f"{path} does not hold what its manifest says", "\n".join(problems)
        )


def _selftests(path: Path, manifest: Mapping[str, Any], folder: Path) -> Mapping[str, str]:
    device = LocalDevice(
        folder.with_name("requests"),
        folder.with_name("log.txt"),
        Limits(SELFTEST_SECONDS),
        _runners(),
    )
    outcome: dict[str, str] = {}
    try:
        outputs = manifest["golden"]["outputs"].items()
        golden = {
            name: ExpectedOutput(_inside(folder, g["file"]), g["tolerance"]) for name, g in outputs
        }
        inputs = manifest["golden"]["inputs"].items()
        request = Request(
            mode="selftest",
            models=(RunnerModel("model", _inside(folder, manifest["model"]["file"])),),
            inputs={name: _inside(folder, file) for name, file in inputs},
            preprocess=preprocess_of(manifest),
            signature=manifest["model"].get("signature"),
            golden=golden,
            **carrying(manifest),
        )
    except ValueError as error:
        raise BundleError("EK-BUNDLE-004", f"{path}: {MANIFEST} names no file: {error}") from error
    _check_tolerances(path, request, golden)
    _check_answers(path, manifest, golden)
    for name in dict.fromkeys(runtime["name"] for runtime in manifest["runtimes"]):
        try:
            result = device.run(replace(request, runtime=name).to_json())["models"]["model"]
        except DeviceError as error:
            outcome[name] = f"unavailable, because {error.hint or error.message}"
            continue
        except RunnerError as error:
            hint = f"{error.message}\n{error.hint}"
            raise BundleError("EK-BUNDLE-006", f"{path}: the self-test died", hint) from error
        if not result["passed"]:
            differences = ", ".join(f"{k} by {v:.3g}" for k, v in result["differences"].items())
            message = f"{path}: the self-test fails on {name}"
            raise BundleError("EK-BUNDLE-006", message, f"golden outputs differ: {differences}")
        outcome[name] = f"{PASSED} on {result['items']} golden items"
    return outcome


def _check_tolerances(path: Path, request: Request, expected: Mapping[str, ExpectedOutput]) -> None:
    """Refuse a self-test that nothing could fail: a tolerance as large as the outputs, or no items.

    Of a quantized output a few steps are always allowed.
    """
    try:
        file = flatbuffer.read(request.models[0].path)
        steps = file.outputs_of(request.signature)
    except EdgekitError:
        steps = {}
    for name, golden in expected.items():
        try:
            values = np.load(golden.path, allow_pickle=False).astype(np.float64)
            largest = float(np.abs(values).max())
        except Exception as error:
            message = f"{path}: the golden output {name!r} cannot be read"
            raise BundleError("EK-BUNDLE-006", message, str(error)[:300]) from error
        most = max(largest, MOST_STEPS * (steps[name].scale if name in steps else 0.0))
        if not golden.tolerance <= most:
            message = f"{path}: the self-test of output {name!r} cannot fail"
            hint = f"tolerance {golden.tolerance:.3g} for values of at most {largest:.3g}"
            raise BundleError("EK-BUNDLE-007", message, hint)


def _check_answers(
    path: Path, manifest: Mapping[str, Any], expected: Mapping[str, ExpectedOutput]
) -> None:
    """Refuse labels in another order than the golden items' answers have them."""
    told = manifest["golden"].get("answers")
    if told is None:
        return
    labels = manifest.get("labels", [])
    try:
        scores = np.load(expected[told["output"]].path, allow_pickle=False)
        best = scores.reshape(len(scores), -1).argmax(axis=1)
    except Exception as error:
        message = f"{path}: the answers of output {str(told['output'])[:60]!r} cannot be read"
        raise BundleError("EK-BUNDLE-006", message, str(error)[:300]) from error
    named = [str(labels[k]) if k < len(labels) else str(k) for k in best]
    wrong = [k for k, name in enumerate(told["labels"][: len(named)]) if name != named[k]]
    if wrong or len(named) != len(told["labels"]):
        item = wrong[0] if wrong else 0
        message = f"{path}: the labels do not give the golden items' answers"
        hint = f"item {item} is called {named[item][:60]!r} by them: are they in the model's order?"
        raise BundleError("EK-BUNDLE-006", message, hint)


def _runners() -> Mapping[str, Path]:
    """Return the runners of the catalog's runtimes: a SavedModel in a bundle would be a program
    to run.
    """
    named = {runtime.name for target in catalog.every() for runtime in target.runtimes}
    return {name: RUNNER_FILES[name] for name in RUNNER_FILES if name in named}


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BundleError(
            "EK-BUNDLE-003", f"the manifest names a file outside the bundle: {name!r}"
        )
    if not path.is_file():
        message = f"the manifest names {name[:100]!r}, which is not in the bundle"
        raise BundleError("EK-BUNDLE-004", message)
    return path
