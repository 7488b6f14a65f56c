"""The native runner, built for a kind of machine: by the compiler that is here, once."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.targets.devices import installer
from edgekit.targets.devices.remote.machine import Kind
from edgekit.targets.runners import FOLDER

SOURCES = FOLDER / "native"
# The user's own build, for any machine.
VARIABLE = "EDGEKIT_NATIVE_RUNNER"
NDK = ("ANDROID_NDK_HOME", "ANDROID_NDK_ROOT")
OPTIONS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-pthread")
# Debian's names of compilers for other machines, and the NDK's, for Android 5.0 and later.
CROSS = {
    "aarch64": "aarch64-linux-gnu-gcc",
    "armv7l": "arm-linux-gnueabihf-gcc",
    "x86_64": "x86_64-linux-gnu-gcc",
    "i686": "i686-linux-gnu-gcc",
    "riscv64": "riscv64-linux-gnu-gcc",
}
ANDROID = {
    "aarch64": "aarch64-linux-android21-clang",
    "armv7l": "armv7a-linux-androideabi21-clang",
    "x86_64": "x86_64-linux-android21-clang",
    "i686": "i686-linux-android21-clang",
}
PACKAGES = {
    "aarch64": "gcc-aarch64-linux-gnu",
    "armv7l": "gcc-arm-linux-gnueabihf",
    "x86_64": "gcc-x86-64-linux-gnu",
    "i686": "gcc-i686-linux-gnu",
    "riscv64": "gcc-riscv64-linux-gnu",
}
PATIENCE = 120.0


def obtain(kind: Kind) -> Path:
    """Return the runner for a kind of machine, built now where it is not in the cache.

    Raises :class:`DeviceError` (EK-DEVICE-077) where no compiler for it is here, or it fails.
    """
    if own := installer.given(VARIABLE, "native runner", "EK-DEVICE-077"):
        return own
    compiler = _compiler(kind)
    if compiler is None:
        raise _missing(kind)
    target = installer.cache("native") / _fingerprint(compiler) / "native_runner"
    if not target.exists():
        _build(compiler, target, kind)
    return target


def sources() -> tuple[Path, ...]:
    """Return the C files."""
    return tuple(sorted(SOURCES.glob("*.c")))


def _compiler(kind: Kind) -> str | None:
    """Return the program that compiles for a kind of machine, the user's ``CC`` before others."""
    if kind.libc == "bionic":
        folders = [Path(os.environ[name]) for name in NDK if os.environ.get(name)]
        name = ANDROID.get(kind.machine, "")
        found = [p for f in folders for p in f.glob(f"toolchains/llvm/prebuilt/*/bin/{name}")]
        return str(found[0]) if name and found else None
    here = platform.libc_ver()[0] or "musl"
    if kind.machine == platform.machine() and kind.libc == here:
        own = os.environ.get("CC", "")
        return next((path for name in (own, "cc", "gcc", "clang") if (path := _which(name))), None)
    return _which(CROSS.get(kind.machine, "")) if kind.libc == "glibc" else None


def _which(name: str) -> str | None:
    return shutil.which(name) if name else None


def _missing(kind: Kind) -> DeviceError:
    what = f"{kind.machine} with {kind.libc}"
    hint = f"set {VARIABLE} to a runner that was built elsewhere"
    if kind.libc == "bionic":
        hint = f"set {NDK[0]} to an Android NDK, or {hint}"
    elif kind.machine == platform.machine() and kind.libc == (platform.libc_ver()[0] or "musl"):
        hint = f"install one (Debian, Ubuntu: apt-get install gcc libc6-dev), or {hint}"
    elif kind.libc == "glibc" and kind.machine in PACKAGES:
        hint = f"install one (Debian, Ubuntu: apt-get install {PACKAGES[kind.machine]}), or {hint}"
    message = f"the native runner is unavailable, because no C compiler for {what} is here"
    return DeviceError("EK-DEVICE-077", message, hint)


def _fingerprint(compiler: str) -> str:
    """Return what a build depends on: sources, options, compiler."""
    digest = hashlib.sha256(" ".join((compiler, *OPTIONS)).encode())
    told = _run([compiler, "--version"])
    digest.update(told.stdout)
    for path in (*sources(), *sorted(SOURCES.glob("*.h"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(compiler: str, target: Path, kind: Kind) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        command = [compiler, *OPTIONS, "-o", str(made), *map(str, sources()), "-ldl"]
        ended = _run(command)
        if ended.returncode:
            said = ended.stdout.decode(errors="replace").strip().splitlines()
            wrong = next((line for line in said if "error" in line), said[-1] if said else "")
            hint = f"{wrong}\nname another compiler with CC, or set {VARIABLE}"
            message = f"{compiler} does not build the native runner for {kind.machine}"
            raise DeviceError("EK-DEVICE-077", message, hint)
        # Another process may have built the same in the meantime.
        made.replace(target)


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Return a compiler's end with all it wrote; one that cannot be started ends with status
    127.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, f"error: {error}".encode())
