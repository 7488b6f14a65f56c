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

from edgekit import nearby, scratch
from edgekit.errors import (
    BundleError,
    DeviceError,
    DeviceNameError,
    NoBundleError,
    RunnerError,
)
from edgekit.process import Limits
from edgekit.targets.bundles.contents import MANIFEST, SIGNATURE
from edgekit.targets.bundles.golden_request import bundle_runners, golden_request, runtimes_of
from edgekit.targets.bundles.manifest import read_manifest
from edgekit.targets.bundles.monitoring import FILE as MONITORING
from edgekit.targets.bundles.monitoring import read_statistics
from edgekit.targets.bundles.reading import read_archive, unsafe
from edgekit.targets.bundles.signing import TrustedKey, signer_of
from edgekit.targets.devices import Transport
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Json, Request

SELFTEST_SECONDS = 300.0
PASSED = "passed"
UNSIGNED, FOREIGN = "EK-BUNDLE-009", "EK-BUNDLE-011"
# Reaches a device, now.
OpenDevice = Callable[[], Transport]


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
    if MONITORING in files:
        try:
            read_statistics(files[MONITORING])
        except ValueError as error:
            message = f"{path}: {MONITORING} is damaged: {str(error)[:300]}"
            raise BundleError("EK-BUNDLE-004", message) from error
    with scratch.held(prefix="edgekit-verify-") as folder:
        unpacked = folder / "bundle"
        _unpack(path, files, unpacked)
        selftests = _selftests(path, manifest, unpacked, devices)
    return Verified(
        manifest, len(files), selftests, signer.fingerprint if signer else "", bool(trusted)
    )


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle whose files are as its manifest says, unpacked in ``folder``.

    ``request`` is its self-test, for one of ``runtimes``.
    """

    manifest: Mapping[str, Any]
    folder: Path
    request: Request
    runtimes: tuple[str, ...]


def open_bundle(path: Path, folder: Path) -> OpenedBundle:
    """Check a bundle as ``verify`` does, but for running it, and unpack it into ``folder``.

    One that is unpacked already is used where it lies; what was put beside its files is not looked
    at. Raises :class:`BundleError`.
    """
    files = _read_folder(path) if path.is_dir() else read_archive(path)
    if MANIFEST not in files:
        raise BundleError("EK-BUNDLE-004", f"{path} has no {MANIFEST}")
    manifest = read_manifest(path, files[MANIFEST])
    _own_signature(path, files, manifest)
    _check_files(path, files, {name: one["sha256"] for name, one in manifest["files"].items()})
    if path.is_dir():
        folder = path
    else:
        _unpack(path, files, folder)
    request = golden_request(path, manifest, folder)
    return OpenedBundle(manifest, folder, request, runtimes_of(manifest))


def _read_folder(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle that is unpacked: those that its manifest lists."""
    if not (path / MANIFEST).is_file():
        hint = nearby.hint(path / MANIFEST)
        raise NoBundleError("EK-BUNDLE-001", f"{path} is not an unpacked bundle", hint)
    content = (path / MANIFEST).read_bytes()
    names = [*read_manifest(path, content)["files"], SIGNATURE]
    files = {name: path / name for name in names if (path / name).is_file()}
    outside = [n for n, f in files.items() if not f.resolve().is_relative_to(path.resolve())]
    if outside:
        raise unsafe(path, outside[0])
    return {MANIFEST: content, **{name: file.read_bytes() for name, file in files.items()}}


def _unpack(path: Path, files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        file = folder / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError, ValueError) as error:
            raise unsafe(path, name) from error


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
    request = golden_request(path, manifest, folder)
    if devices is not None:
        return {name: _selftest(path, name, request, open_) for name, open_ in devices.items()}
    here = LocalDevice(
        folder.with_name("requests"),
        folder.with_name("log.txt"),
        Limits(SELFTEST_SECONDS),
        bundle_runners(),
    )
    names = runtimes_of(manifest)
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
