"""What any program on this machine needs: its interpreter, its libraries, the kernel's facts."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import edgekit

# Programs and libraries, wherever a distribution keeps them.
SYSTEM = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/bin",
    "/sbin",
    "/nix/store",
    "/gnu/store",
)
# What the dynamic linker, the C library and OpenSSL look up. Not /etc: much there is nobody's.
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/os-release",
    "/etc/mime.types",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs",
)
# Of other processes Landlock gives the names alone: neither their memory nor their environment.
KERNEL = ("/proc", "/sys")
DEVICES = ("null", "zero", "full", "random", "urandom")
# Accelerators of TensorFlow's.
ACCELERATORS = ("nvidia*", "kfd", "dri/*")


def libraries() -> dict[str, list[str]]:
    """Return the rules that every program needs."""
    devices = [Path("/dev") / name for name in DEVICES]
    devices += [path for pattern in ACCELERATORS for path in sorted(Path("/dev").glob(pattern))]
    return {
        "run": [*SYSTEM, *_named("LD_LIBRARY_PATH"), *_named("PYTHONPATH")],
        "read": [*SETTINGS, *KERNEL],
        "devices": [str(path) for path in devices],
    }


def _named(variable: str) -> list[str]:
    """Return the folders of a search path in the environment."""
    folders = os.environ.get(variable, "").split(os.pathsep)
    return [folder for folder in folders if Path(folder).is_absolute()]


def environment(python: Path) -> tuple[Path, ...]:
    """Return the folders of a virtual environment, and of the installation that it is of."""
    folder = python.parent.parent
    return (folder.absolute(), folder.resolve(), _home(python))


def settings() -> list[str]:
    """Return files in the user's home that libraries read at their import."""
    keras = os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()
    return [str(Path(keras) / "keras.json")]


@cache
def interpreter() -> tuple[str, ...]:
    """Return the folders of this Python and of all that it imports from."""
    prefixes = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    home = str(_home(Path(sys.executable)))
    return tuple(dict.fromkeys([*prefixes, home, *_PATHS, *_editable(), *_sources()]))


def _home(python: Path) -> Path:
    """Return the installation folder of a Python, or of an environment's link to one."""
    return python.resolve().parent.parent


def _search_path() -> tuple[str, ...]:
    """Return the folders of modules, without the current one and a script's."""
    here = {Path(sys.argv[0]).parent.resolve() if sys.argv else None}
    # Called in a folder that is gone.
    with contextlib.suppress(OSError):
        here.add(Path.cwd().resolve())
    entries = [Path(entry) for entry in sys.path]
    return tuple(str(p) for p in entries if p.is_absolute() and p.resolve() not in here)


def _sources() -> Iterator[str]:
    """Yield the folders of edgekit's own files: an editable install is a tree of links to them."""
    for folder in edgekit.__path__:
        for package in sorted(Path(folder).rglob("__init__.py")):
            yield str(package.resolve().parent)


def _editable() -> Iterator[str]:
    """Yield packages that setuptools' finders find, not the search path."""
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", ""))
        places = getattr(module, "MAPPING", {})
        if isinstance(places, dict):
            yield from (str(place) for place in places.values())


# As it is before a user's code adds to it.
_PATHS = _search_path()
