"""How packages get into a virtual environment: with uv where it is installed, else with pip."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.process import module_command
from edgekit.targets.runners import Runner

# Attempts after the first: without a network pip's own five take a minute.
RETRIES = "2"
QUIET = ("--disable-pip-version-check", "--no-input", "--no-color", "--progress-bar", "off")
OFFLINE = re.compile(
    r"connection broken by|failed to establish|name resolution|error sending request|dns error",
    re.IGNORECASE,
)
LONGEST = 400
VERSIONS = re.compile(r"\(from versions: (.*)\)")


def cache_home() -> Path:
    """Return the folder of caches. Source: XDG Base Directory Specification."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says of a relative path: invalid, to be ignored.
    return Path(named) if Path(named).is_absolute() else Path.home() / ".cache"


def cache(name: str) -> Path:
    """Return a folder of edgekit's there, such as ``~/.cache/edgekit/wheels``."""
    return cache_home() / "edgekit" / name


def given(variable: str, what: str, code: str) -> Path | None:
    """Return the file that the user names in an environment variable; None where it is not set.

    Raises :class:`DeviceError` with ``code`` where there is no such file.
    """
    if not (named := os.environ.get(variable)):
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        hint = f"{variable} names it: set it to another file, or unset it"
        raise DeviceError(code, f"there is no {what} {path}", hint)
    return path


def commands(folder: Path, python: Path, requirements: Sequence[str]) -> tuple[list[str], ...]:
    """Return the commands that make a virtual environment and install requirements into it.

    The first requirement, the runtime, is taken as a wheel only: building one needs a toolchain.
    """
    wheels = [f"--only-binary={re.split('[<=]', name)[0]}" for name in requirements]
    if uv := shutil.which("uv"):
        install = [uv, "pip", "install", "--python", str(python), "--compile-bytecode"]
        return (
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [*install, *wheels, *requirements],
        )
    venv = module_command(sys.executable, "venv", str(folder))
    pip = module_command(python, "pip", "install")
    if _pip_serves_others():
        # Half the time goes into a pip that nothing else would use.
        venv.append("--without-pip")
        pip = module_command(sys.executable, "pip", "--python", str(python), "install")
    return (venv, [*pip, *QUIET, "--retries", RETRIES, *wheels, *requirements])


def numpy_for(runner: Runner, version: str) -> str:
    """Return what a release of a runtime needs of numpy, as a requirement."""
    first = runner.numpy_2_from
    return "numpy" if first and order(version) >= order(first) else "numpy<2"


def order(version: str) -> tuple[int, ...]:
    """Return a key to sort releases by."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _pip_serves_others() -> bool:
    """Tell whether this Python has a pip that installs into another: 22.3, says its changelog."""
    try:
        major, minor = metadata.version("pip").split(".")[:2]
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return (int(major), int(minor)) >= (22, 3)


def reason(lines: Sequence[str], package: str, log: Path) -> str:
    """Tell why an installer failed, in its own words on one line, and what to do on the next."""
    text = "\n".join(lines)
    error = error_of(lines)
    releases = VERSIONS.search(error)
    error = VERSIONS.sub("", error).strip()
    here = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {_platform()}"
    if OFFLINE.search(text):
        return (
            f"{error}\nthe package index cannot be reached: look at the network, or name a mirror"
        )
    if releases and releases[1] != "none":
        return f"{error}\nreleases of {package} for {here}: {releases[1]}"
    if releases or "no wheels" in error:
        return f"{error}\nno release of {package} has a wheel for {here}: use another Python"
    return f"{error}\nthe whole log is {log}"


def error_of(lines: Sequence[str]) -> str:
    """Find pip's first ``ERROR:`` line, all that uv says after its ``×``, or else everything."""
    for line in lines:
        if line.startswith("ERROR: "):
            return line[len("ERROR: ") :]
    marked = [at for at, line in enumerate(lines) if line.lstrip().startswith(("×", "error:"))]
    words = [line.strip(" ×│╰─▶") for line in lines[marked[0] if marked else 0 :]]
    return " ".join(word for word in words if word)[:LONGEST] or "it gave no reason"


def _platform() -> str:
    return f"{platform.system()} {platform.machine()}"
