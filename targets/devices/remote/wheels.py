"""Wheels for another machine: which fit it, fetched here with pip, which never runs there.

Sources: PyPA specification "Platform compatibility tags"; PEP 600 (manylinux), PEP 656
(musllinux); PEP 513, 571 and 599 (their older names).
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.errors import DeviceError, NoWheels
from edgekit.process import module_command
from edgekit.targets.devices import installer
from edgekit.targets.runners import RUNNERS
from edgekit.types import Json, Progress

# The first minor version of glibc 2 that wheels are tagged with.
FIRST_GLIBC, OLDER_GLIBC = 17, 5
OLDER = ("x86_64", "i686")
ALIASES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# Beyond every glibc and musl there is: to see whether a newer one would do.
NEWEST_GLIBC = 60
# Pythons that runners run on and wheels are asked for, where the device's own has none.
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
# The local version that marks a package as the device's own; see PEP 440.
OWN = "device"
NEWEST = "999"
BY_HAND = "edgekit devices setup DEVICE --wheels FOLDER"
SYSTEMS = {"musl": "musl (Alpine and the like)", "bionic": "Android"}


@dataclass(frozen=True)
class Platform:
    """What wheels must fit: ``python`` (``3.11``), ``abi`` (``cp311``), machine, C library.

    ``numpy`` is the version of numpy that is there, empty without one.
    """

    python: str
    abi: str
    machine: str
    libc: str
    libc_version: str
    numpy: str = ""

    def __str__(self) -> str:
        libc = f"{self.libc} {self.libc_version}".strip()
        return f"Python {self.python} on {self.machine} with {libc or 'an unknown C library'}"

    @property
    def tags(self) -> tuple[str, ...]:
        """The platform tags that fit, the closest first; none where no wheels are made for it."""
        numbers = [int(number) for number in re.findall(r"\d+", self.libc_version)[:2]]
        if self.libc == "glibc" and len(numbers) == 2 and numbers[0] == 2:
            first = OLDER_GLIBC if self.machine in OLDER else FIRST_GLIBC
            platforms = list(_manylinux(range(numbers[1], first - 1, -1), self.machine))
        elif self.libc == "musl" and len(numbers) == 2:
            platforms = [f"musllinux_1_{n}_{self.machine}" for n in range(numbers[1], -1, -1)]
        else:
            return ()
        # Wheels that were built on such a machine.
        return (*platforms, f"linux_{self.machine}")


def _manylinux(minors: Iterable[int], machine: str) -> Iterator[str]:
    for minor in minors:
        yield f"manylinux_2_{minor}_{machine}"
        if minor in ALIASES:
            yield f"{ALIASES[minor]}_{machine}"


def platform_of(facts: Mapping[str, Json]) -> Platform:
    """Return the platform of a device's interpreter, from what ``agent.interpreter`` tells."""
    libc, version = facts["libc"]
    numpy = str(facts["packages"].get("numpy", ""))
    return Platform(facts["python"], facts["abi"], facts["machine"], libc, version, numpy)


@dataclass(frozen=True)
class Wheels:
    """The files that make a runtime run on a device, and the release that they hold.

    ``numpy`` is the version of the device's own numpy that they use; empty where they hold one.
    """

    package: str
    version: str
    numpy: str
    files: tuple[Path, ...]


def fetch(
    runtime: str,
    version: str,
    platform: Platform,
    folder: Path,
    progress: Progress,
    source: Path | None = None,
) -> Wheels:
    """Return the wheels of a runtime, and of what it requires, that fit a platform; put into
    ``folder``.

    The newest release that has a fitting wheel, where no ``version`` is named. The device's own
    numpy is used where it fits. They are taken from the folder ``source``, else from the package
    index, else from what was fetched before. Raises :class:`DeviceError` where no wheel fits
    (EK-DEVICE-051), or they cannot be fetched (EK-DEVICE-052).
    """
    package = RUNNERS[runtime].distribution
    if not platform.abi or not platform.tags:
        raise _misfit(package, platform)
    progress.stage(f"fetching {package} {version} for {platform}".replace("  ", " "))
    wanted = (
        f"{package}=={version}" if version else package,
        installer.numpy_for(RUNNERS[runtime], version or NEWEST),
    )
    said: list[str] = []
    for place in (source,) if source else (None, installer.cache("wheels")):
        for own in dict.fromkeys((platform.numpy, "")):
            dest = folder / f"wheels-{len(said)}"
            lines = _download(wanted, platform, dest, place, own)
            if lines is None:
                return _fetched(package, own, dest, keep=source is None)
            said += ["\n".join(lines)]
            if installer.OFFLINE.search(said[-1]):
                break
        else:
            # The index was reached: what was fetched before fits no better.
            break
    raise _failed(runtime, version, platform, said[0], folder, source)


def fitting(runtime: str, platform: Platform, folder: Path, version: str = "") -> str:
    """Return the newest release of a runtime, or that ``version``, that has a wheel for a platform.

    Empty where none has.
    """
    package = RUNNERS[runtime].distribution
    dest = folder / f"fitting-{package}"
    wanted = (f"{package}=={version}" if version else package,)
    if not platform.tags or _download(wanted, platform, dest, None, None) is not None:
        return ""
    return _release(package, dest)


def _fetched(package: str, own: str, dest: Path, keep: bool) -> Wheels:
    stub = f"numpy-{_own(own)}-" if own else None
    files = [path for path in sorted(dest.glob("*.whl")) if not stub or stub not in path.name]
    if keep:
        installer.cache("wheels").mkdir(parents=True, exist_ok=True)
        for path in files:
            part = installer.cache("wheels") / f"{path.name}.part-{os.getpid()}"
            shutil.copyfile(path, part)
            part.replace(installer.cache("wheels") / path.name)
    return Wheels(package, _release(package, dest), own, tuple(files))


def _release(package: str, dest: Path) -> str:
    """Return the version of a package among wheels."""
    for path in dest.glob("*.whl"):
        name, version = path.name.split("-")[:2]
        if re.sub(r"[-_.]+", "-", name).lower() == package:
            return version
    return ""


def _download(
    requirements: Sequence[str],
    platform: Platform,
    dest: Path,
    source: Path | None,
    own: str | None,
) -> list[str] | None:
    """Let pip put wheels that fit into ``dest``: None, or the lines that it failed with.

    With what they require, for which the device has numpy ``own``, if any; where ``own`` is None,
    without.
    """
    shutil.rmtree(dest, ignore_errors=True)
    dest.mkdir(parents=True)
    # What a package requires under a condition is judged by this Python, says pip's documentation.
    options = ["--python-version", platform.python, "--implementation", "cp", "--abi", platform.abi]
    options += [word for tag in platform.tags for word in ("--platform", tag)]
    if own is None:
        options.append("--no-deps")
    if source is not None:
        # Isolated: folders of wheels that the user's own settings name are not part of it.
        options += ["--isolated", "--no-index", "--find-links", str(source)]
    if own:
        options += ["--find-links", str(_stub(own, dest.with_name(f"{dest.name}-own")))]
        requirements = (*requirements, f"numpy=={_own(own)}")
    return download([*options, *requirements], dest)


def download(arguments: Sequence[str], dest: Path) -> list[str] | None:
    """Let pip put wheels into ``dest``: None, or the lines that it failed with."""
    options = ["--retries", installer.RETRIES, "--only-binary=:all:", "--dest", str(dest)]
    done = subprocess.run(
        [*_pip(), "download", *installer.QUIET, *options, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    lines = done.stdout.splitlines() or [f"pip ended with {done.returncode}"]
    return lines if done.returncode else None


def _pip() -> list[str]:
    """Return a pip to call: that of this Python, else one that uv runs."""
    if importlib.util.find_spec("pip") is not None:
        return module_command(sys.executable, "pip")
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "pip"]
    hint = "it fetches the wheels for a device: python -m ensurepip, or install uv"
    raise DeviceError("EK-DEVICE-052", "pip is not installed here", hint)


def _own(version: str) -> str:
    """Return the version that stands for a package that the device has."""
    return f"{version.partition('+')[0]}+{OWN}"


def _stub(version: str, folder: Path) -> Path:
    """Return a folder with a wheel that holds nothing and says: numpy is there, in that version.

    So pip chooses the rest to fit it, and does not fetch another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"numpy-{_own(version)}"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: numpy\nVersion: {_own(version)}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(f"{name}.dist-info/{file}", text)
    return folder


def _failed(
    runtime: str, version: str, platform: Platform, said: str, folder: Path, source: Path | None
) -> DeviceError:
    package = RUNNERS[runtime].distribution
    lines = said.splitlines()
    by_hand = f"fetch the wheels where there is one, then: {BY_HAND}"
    if installer.OFFLINE.search(said):
        why = next(line for line in lines if installer.OFFLINE.search(line))
        why = why.partition("broken by ")[2] or why
        hint = f"{why[: installer.LONGEST]}\nthe package index cannot be reached: {by_hand}"
        return DeviceError("EK-DEVICE-052", f"{package} cannot be fetched for {platform}", hint)
    if source is not None:
        tags = f"{platform.tags[0]} or older, {platform.abi}"
        hint = f"{installer.error_of(lines)}\nit takes wheels tagged {tags}"
        return NoWheels("EK-DEVICE-051", f"{source} holds no {package} for {platform}", hint)
    listed = installer.VERSIONS.search(said)
    if listed and f"requirement {package}" in installer.error_of(lines):
        others = "" if listed[1] == "none" else f"releases of it that fit: {listed[1]}"
        nearest = _nearest(package, version, platform, folder)
        return _misfit(f"{package} {version}".strip(), platform, nearest, others)
    if release := fitting(runtime, platform, folder, version):
        hint = (
            f"{package} {release} fits, but not what it requires: {installer.error_of(lines)}\n"
            f"install that there with the system's own packages (apt install python3-numpy)"
        )
        return NoWheels("EK-DEVICE-051", f"{package} has no wheels for {platform}", hint)
    hint = f"{installer.error_of(lines)}\nor {by_hand}"
    return DeviceError("EK-DEVICE-052", f"{package} cannot be fetched for {platform}", hint)


def _misfit(package: str, platform: Platform, nearest: str = "", others: str = "") -> DeviceError:
    """Say why no wheel fits, from the most general reason to the nearest miss."""
    if not platform.abi:
        reason = "wheels of runtimes are for CPython: name another Python, or install CPython there"
    elif platform.libc in SYSTEMS:
        reason = f"no wheels of it are made for {SYSTEMS[platform.libc]}: use a system with glibc"
    elif not platform.libc:
        reason = "the device does not tell its C library: wheels are for glibc or musl"
    else:
        absent = "" if others else f"no release of it has a wheel for {platform.machine}"
        reason = "\n".join(filter(None, (nearest or absent, others)))
    return NoWheels("EK-DEVICE-051", f"{package} has no wheel for {platform}", reason)


def _nearest(package: str, version: str, platform: Platform, folder: Path) -> str:
    """Return what the device lacks for the nearest wheel: a newer C library, or another Python."""
    if platform.libc in SYSTEMS:
        return ""
    wanted = (f"{package}=={version}" if version else package,)
    dest = folder / "nearest"
    if platform.libc == "glibc":
        newer = replace(platform, libc_version=f"2.{NEWEST_GLIBC}")
        if _download(wanted, newer, dest, None, None) is None:
            (wheel,) = dest.glob("*.whl")
            least = min(int(minor) for minor in re.findall(r"manylinux_2_(\d+)_", wheel.name))
            name, release = wheel.name.split("-")[:2]
            return (
                f"{name.replace('_', '-')} {release} needs glibc 2.{least}, and the device has "
                f"{platform.libc_version}: use a newer system there, or another runtime"
            )
    own = int(platform.python.partition(".")[2])
    for python in sorted(PYTHONS, key=lambda one: abs(int(one[2:]) - own)):
        other = replace(platform, python=python, abi=f"cp{python.replace('.', '')}")
        if python != platform.python and _download(wanted, other, dest, None, None) is None:
            return f"it has wheels for Python {python} there: install that, or use another runtime"
    return ""
