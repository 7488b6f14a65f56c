"""What this machine and its Python are."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from . import machine
from .serving import Call

Json = Any
# Distributions that runners need, as the folders of installed ones are named (PEP 503, PEP 376).
DISTRIBUTIONS = {
    "numpy": "numpy",
    "ai_edge_litert": "ai-edge-litert",
    "tflite_runtime": "tflite-runtime",
}
INSTALLED = re.compile(r"(%s)-([^-]+)(?:-.*)?\.(?:dist|egg)-info" % "|".join(DISTRIBUTIONS))


def hello(call: Call) -> Mapping[str, Json]:
    """Return what the host has to know first.

    ``packages`` are the versions of those of ``DISTRIBUTIONS`` that this Python finds, ``libc`` its
    name and version, empty where it does not tell.
    """
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "machine": platform.machine(),
        "system": platform.system(),
        "bits": 64 if sys.maxsize > 1 << 32 else 32,
        "libc": libc(),
        "packages": installed(sys.path),
        "home": str(Path.home()),
        "folder": str(call.folder.path),
        "cores": os.cpu_count(),
        "pid": os.getpid(),
        "path": os.environ.get("PATH", ""),
    }


def installed(folders: List[str]) -> Dict[str, str]:
    """Return versions of the packages in folders, the first found first: by names only, which is
    fast.
    """
    versions: Dict[str, str] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in Path(folder).iterdir():
                matched = INSTALLED.fullmatch(path.name)
                if matched:
                    versions.setdefault(DISTRIBUTIONS[matched.group(1)], matched.group(2))
    return versions


def libc() -> List[str]:
    """Return the C library's name and version: ``glibc``, ``musl`` or ``bionic``."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        # "glibc 2.36"
        told = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        if len(told) == 2:
            return told
    if list(Path("/system/bin").glob("linker*")):
        return ["bionic", ""]
    loaders = [str(path) for path in Path("/lib").glob("ld-musl-*")]
    if not loaders:
        return ["", ""]
    # The loader without arguments tells its version on stderr, and fails.
    said = subprocess.run(
        loaders[:1], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    ).stderr
    version = re.search(r"Version ([\d.]+)", said)
    return ["musl", version.group(1) if version else ""]


def facts(call: Call) -> Mapping[str, Json]:
    """Return what does not change while one measures."""
    known = {"cpus": os.cpu_count(), "python": platform.python_version()}
    return {**known, **machine.host_facts()}


def state(call: Call, core: Optional[int] = None) -> Mapping[str, Json]:
    """Return what changes, and counters."""
    return machine.state(core)


def fast_core(call: Call) -> Mapping[str, Json]:
    """Return the ``core`` to measure on."""
    return {"core": machine.fast_core()}


METHODS = {"hello": hello, "facts": facts, "state": state, "core": fast_core}
