"""Checking a bundle: its paths, its digests, its model against its golden pairs.

The manifest names the digest of every file but its own: who changes it with them is not seen.

Nothing of the bundle runs but its model, in edgekit's own runner.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import scratch
from edgekit.converters import flatbuffer
from edgekit.errors import BundleError, DeviceError, DeviceNameError, EdgekitError, RunnerError
from edgekit.process import Limits
from edgekit.targets import catalog
from edgekit.targets.bundles.contents import MANIFEST, SIGNATURE
from edgekit.targets.bundles.manifest import carrying, preprocess_of, read_manifest
from edgekit.targets.bundles.model_check import check_model
from edgekit.targets.bundles.reading import read_archive, unsafe
from edgekit.targets.bundles.signing import TrustedKey, signer_of
from edgekit.targets.devices import Transport
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNER_FILES
from edgekit.types import ExpectedOutput, Json, Request, RunnerModel

SELFTEST_SECONDS = 300.0
PASSED = "passed"
# Whose outputs the golden ones are.
GOLDEN = "litert"
UNSIGNED, FOREIGN = "EK-BUNDLE-009", "EK-BUNDLE-011"
# Reaches a device, now.
OpenDevice = Callable[[], Transport]
# Quantization steps by which a golden output may differ in any case.
MOST_STEPS = 16


@dataclass(frozen=True)
class Verified:
    """A bundle that holds what it says: its manifest, file count, and self-test per runtime or
    device.

    ``signer`` is the fingerprint of the key that signed it, empty where none did; ``trusted``
    whether that key was asked for.
    """

    manifest: Mapping[str, Json]
    files: int
    selftests: Mapping[str, str]
    signer: str = ""
    trusted: bool = False

    @property
    def tested(self) -> bool:
        """Whether the model gave its golden outputs on a runtime here."""
        return any(outcome.startswith(PASSED) for outcome in self.selftests.values())

    @property
    def tested_everywhere(self) -> bool:
        """Whether it did on all of them."""
        return all(outcome.startswith(PASSED) for outcome in self.selftests.values())


def verify(
    path: Path,
    trusted: Sequence[TrustedKey] = (),
    devices: Mapping[str, OpenDevice] | None = None,
) -> Verified:
    """Check the bundle at ``path``, and run its self-test on ``devices``; without any, on every
    runtime of the target that works here.

    Where keys are ``trusted``, one of them must have signed it. Raises :class:`BundleError` for an
    unreadable archive, an unsafe path, a wrong or missing signature, a missing, unlisted or changed
    file, a model that is not the manifest's, or a self-test that fails.
    """
    files = read_archive(path)
    if MANIFEST not in files:
        raise BundleError("EK-BUNDLE-004", f"{path} has no {MANIFEST}")
    signer = _signed(path, files, trusted) if trusted else None
    manifest = read_manifest(path, files[MANIFEST])
    signer = signer or _own_signature(path, files, manifest)
    _check_files(path, files, {name: one["sha256"] for name, one in manifest["files"].items()})
    with scratch.held(prefix="edgekit-verify-") as folder:
        unpacked = folder / "bundle"
        for name, content in files.items():
            file = unpacked / name
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            except (FileExistsError, NotADirectoryError, IsADirectoryError, ValueError) as error:
                raise unsafe(path, name) from error
        selftests = _selftests(path, manifest, unpacked, devices)
    return Verified(
        manifest, len(files), selftests, signer.fingerprint if signer else "", bool(trusted)
    )


def read_bundle_manifest(path: Path) -> Mapping[str, Any]:
    """Return the manifest of a bundle; nothing of it is verified but that it can be read safely.

    Raises :class:`BundleError`.
    """
    files = read_archive(path)
    if MANIFEST not in files:
        raise BundleError("EK-BUNDLE-004", f"{path} has no {MANIFEST}")
    return read_manifest(path, files[MANIFEST])


def is_whole(path: Path) -> bool:
    """Tell whether a file is a bundle whose every file is as its manifest says."""
    try:
        files = read_archive(path)
        manifest = read_manifest(path, files[MANIFEST])
        _own_signature(path, files, manifest)
        listed = manifest["files"]
        _check_files(path, files, {name: one["sha256"] for name, one in listed.items()})
    except (BundleError, KeyError):
        return False
    return True


def _signed(path: Path, files: Mapping[str, bytes], trusted: Sequence[TrustedKey]) -> TrustedKey:
    """Return the trusted key that signed the manifest. Raises :class:`BundleError`."""
    wanted = ", ".join(f"{key.fingerprint} ({key.path})" for key in trusted)
    if SIGNATURE not in files:
        message = f"{path} is not signed, and a signature is required"
        hint = f"trusted: {wanted}\nedgekit bundle --sign KEY signs"
        raise BundleError(UNSIGNED, message, hint)
    signer = signer_of(trusted, files[MANIFEST], files[SIGNATURE])
    if signer is None:
        message = f"{path}: its signature is of none of the trusted keys"
        hint = f"trusted: {wanted}\nit was signed by another key, or changed since"
        raise BundleError(FOREIGN, message, hint)
    return signer


def _own_signature(
    path: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]
) -> TrustedKey | None:
    """Return the key that a manifest itself names, whose signature it then must have."""
    told = manifest.get("signer")
    if told is None and SIGNATURE not in files:
        return None
    try:
        key = TrustedKey(base64.b64decode(str((told or {})["public_key"]), validate=True))
    except (KeyError, ValueError) as error:
        message = f"{path}: it has a {SIGNATURE}, and its manifest names no key"
        raise BundleError(FOREIGN, message, "it was changed: do not use it") from error
    if not key.signed(files[MANIFEST], files.get(SIGNATURE, b"")):
        message = f"{path}: the signature is not that of the key that the manifest names"
        raise BundleError(FOREIGN, message, "it was changed after it was signed: do not use it")
    return key


def _check_files(path: Path, files: Mapping[str, bytes], listed: Mapping[str, str]) -> None:
    problems = [f"{name} is missing" for name in listed if name not in files]
    known = {*listed, MANIFEST, SIGNATURE}
    problems += [f"{name} is not in the manifest" for name in files if name not in known]
    problems += [
        f"{name} was changed"
        for name, content in files.items()
        if name in listed and hashlib.sha256(content).hexdigest() != listed[name]
    ]
    if problems:
        raise BundleError(
            "EK-BUNDLE-005", f"{path} does not hold what its manifest says", "\n".join(problems)
        )


def _selftests(
    path: Path,
    manifest: Mapping[str, Any],
    folder: Path,
    devices: Mapping[str, OpenDevice] | None,
) -> Mapping[str, str]:
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
    check_model(path, manifest, request.models[0].path)
    if devices is not None:
        return {name: _selftest(path, name, request, open_) for name, open_ in devices.items()}
    here = LocalDevice(
        folder.with_name("requests"),
        folder.with_name("log.txt"),
        Limits(SELFTEST_SECONDS),
        _runners(),
    )
    names = _local([str(runtime["name"]) for runtime in manifest["runtimes"]])
    return {
        name: _selftest(path, name, replace(request, runtime=name), lambda: here) for name in names
    }


def _selftest(path: Path, name: str, request: Request, open_device: OpenDevice) -> str:
    """Run a self-test on a runtime or a device. Raises :class:`BundleError` where it fails."""
    try:
        result = open_device().run(request)["models"]["model"]
    except DeviceNameError:
        raise
    except DeviceError as error:
        return f"unavailable, because {error.hint or error.message}"
    except RunnerError as error:
        hint = f"{error.message}\n{error.hint}"
        raise BundleError("EK-BUNDLE-006", f"{path}: the self-test died on {name}", hint) from error
    if not result["passed"]:
        differences = ", ".join(f"{k} by {v:.3g}" for k, v in result["differences"].items())
        message = f"{path}: the self-test fails on {name}"
        raise BundleError("EK-BUNDLE-006", message, f"golden outputs differ: {differences}")
    return f"{PASSED} on {result['items']} golden items"


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


def _local(named: Sequence[str]) -> tuple[str, ...]:
    """Return the runtimes to try on this host: those that a manifest names, and LiteRT before them
    where they are the catalog's and run on no host, as a phone's.
    """
    known = {runtime.name for target in catalog.every() for runtime in target.runtimes}
    elsewhere = known.issuperset(named) and not _runners().keys() & set(named)
    return tuple(dict.fromkeys((GOLDEN, *named) if elsewhere else named))


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
