"""A small Debian user-space of another processor, made of this host's own distribution.

Its packages are resolved by apt with a state of its own, downloaded from this host's mirrors and
unpacked: nothing is installed, no script of theirs runs, and no rights are needed. Source:
apt.conf(5), apt-get(8) on ``indextargets``, "Debian Policy Manual" on maintainer scripts.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgekit.errors import DeviceError
from edgekit.targets.devices import installer
from edgekit.targets.devices.remote import user_emulation
from edgekit.targets.devices.remote.user_emulation import UserEmulation
from edgekit.targets.devices.steps import step, turn
from edgekit.types import Progress

# libstdc++6: what runtimes are built with; numpy does without. The rest is a shell and its tools.
PACKAGES = ("base-files", "coreutils", "dash", "libstdc++6", "python3-minimal", "python3-numpy")
# Debian's names of architectures, and QEMU's.
PROCESSORS = {"arm64": "aarch64", "armhf": "arm"}
# What update-alternatives would have linked: numpy loads it.
ALTERNATIVES = ("blas", "lapack")
UNREAD = ("doc", "info", "lintian", "locale", "man")
# Every module that a runner or the agent imports, so that they are compiled and known to work.
PROOF = (
    "exec python3 -c 'import ctypes, hashlib, json, numpy, subprocess, zipfile; numpy.dot(1, 1)'"
)
CANNOT_MAKE, RUNS_NOTHING, NOTHING_THERE = "EK-DEVICE-062", "EK-DEVICE-064", "EK-DEVICE-063"
OFFLINE = re.compile(r"Could not (resolve|connect)|Temporary failure|Connection failed|timed out")
UNSUPPORTED = re.compile(r"doesn't support architecture|404 +Not Found")
NAME = "an emulated device"


@dataclass(frozen=True)
class DebianRoot:
    """The user-space of one architecture, by Debian's name, made or not."""

    architecture: str

    @property
    def processor(self) -> str:
        """QEMU's name of it."""
        return PROCESSORS[self.architecture]

    @property
    def folder(self) -> Path:
        """Where it lies: the distribution, its release and the architecture are in the name."""
        return installer.cache("emulators") / f"{_system()[1]}-{self.architecture}"

    @property
    def log(self) -> Path:
        """What apt and dpkg have said."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def made(self) -> bool:
        return self.folder.is_dir()


def make(root: DebianRoot, progress: Progress) -> Path:
    """Return the root's folder, made where it is not.

    It has its name once a Python with numpy has run in it. Raises :class:`DeviceError` where this
    host is not Debian or has no emulator, and where its packages cannot be had.
    """
    emulation = user_emulation.user_emulation(root.processor)
    _check_tools(root)
    with turn(installer.cache("emulators"), NAME, CANNOT_MAKE, progress) as lock:
        # Whoever had the turn before may have made it.
        if root.made:
            return root.folder
        root.log.unlink(missing_ok=True)
        part = root.folder.with_name(f"{root.folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            (part / "root").mkdir(parents=True)
            _Making(root, part, progress, lock).make(emulation)
            (part / "root").rename(root.folder)
        except OSError as error:
            raise _cannot(root, f"{error.strerror}: {error.filename}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return root.folder


def remove(root: DebianRoot, progress: Progress) -> Path:
    """Delete a root with all that is in it; the folder that is gone.

    Raises :class:`DeviceError` where there is none.
    """
    if not root.made:
        hint = f"it would be {root.folder}"
        raise DeviceError(NOTHING_THERE, f"there is no emulated {root.architecture}", hint)
    with turn(installer.cache("emulators"), NAME, CANNOT_MAKE, progress):
        # Renamed first: what is half deleted is never taken for a root.
        part = root.folder.with_name(f"{root.folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        root.folder.rename(part)
        shutil.rmtree(part, ignore_errors=True)
        root.log.unlink(missing_ok=True)
    return root.folder


@dataclass(frozen=True)
class _Making:
    """The steps that make a root in a folder ``part``: ``root`` in it, and apt's state beside."""

    wanted: DebianRoot
    part: Path
    progress: Progress
    lock: IO[bytes]

    def make(self, emulation: UserEmulation) -> None:
        name = self.wanted.folder.name
        self.progress.stage(f"downloading packages of {name}")
        self._configure()
        self._apt("update", "--quiet")
        self._apt("install", "--quiet", "--yes", "--download-only", *PACKAGES)
        archives = sorted((self.part / "archives").glob("*.deb"))
        self.progress.stage(f"unpacking {len(archives)} packages into {self.wanted.folder}")
        for archive in archives:
            self._call("dpkg-deb", "--extract", str(archive), str(self.part / "root"))
        _finish(self.part / "root", self.wanted.processor)
        self.progress.stage(f"running Python on {name}")
        self._prove(emulation)

    def _configure(self) -> None:
        """Write the configuration of an apt that knows one architecture with nothing installed."""
        for folder in ("lists/partial", "archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
            (self.part / folder).mkdir(parents=True)
        (self.part / "status").touch()
        reached = filter(_how_mirrors_are_reached, _told("apt-config", "dump"))
        text = [*reached, *_settings(self.wanted.architecture, self.part)]
        (self.part / "apt.conf").write_text("\n".join(text) + "\n")
        (self.part / "sources.list").write_text("\n".join(self._sources()) + "\n")

    def _sources(self) -> list[str]:
        """Return this host's own mirrors of its release, for the other architecture."""
        form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)"
        # Without release files: an image that deletes apt's lists still names its mirrors.
        told = _told("apt-get", "indextargets", "--no-release-info", "--format", form)
        codename, system = _system()
        wanted = f"|{codename}|main|Packages"
        mirrors = sorted({line.removesuffix(wanted) for line in told if line.endswith(wanted)})
        if not mirrors:
            raise _cannot(self.wanted, f"apt's sources name no mirror of {system} {codename}")
        keys = Path(f"/usr/share/keyrings/{system.partition('-')[0]}-archive-keyring.gpg")
        signed = f" signed-by={keys}" if keys.exists() else ""
        options = f"arch={self.wanted.architecture}{signed}"
        return [f"deb [{options}] {uri} {codename} main" for uri in mirrors]

    def _apt(self, *arguments: str) -> None:
        self._call("apt-get", *arguments, config=self.part / "apt.conf")

    def _call(self, *command: str, config: Path | None = None) -> None:
        code, lines = self._run(*command, config=config)
        if code:
            raise _cannot(self.wanted, _reason(lines, self.wanted))

    def _run(self, *command: str, config: Path | None = None) -> tuple[int, list[str]]:
        apt = {"APT_CONFIG": str(config)} if config else {}
        environment = {**os.environ, "LC_ALL": "C", **apt}
        return step(command, self.wanted.log, self.progress, self.lock, environment)

    def _prove(self, emulation: UserEmulation) -> None:
        code, lines = self._run(*emulation.command(self.part / "root", PROOF))
        if not code:
            return
        if error := user_emulation.failure(emulation, code, "\n".join(lines)):
            raise error
        message = f"the emulated {self.wanted.architecture} runs no Python with numpy"
        hint = f"{lines[-1] if lines else 'it gave no reason'}\nthe whole log is {self.wanted.log}"
        raise DeviceError(RUNS_NOTHING, message, hint)


def _check_tools(root: DebianRoot) -> None:
    missing = [one for one in ("apt-get", "apt-config", "dpkg-deb") if shutil.which(one) is None]
    if missing:
        reason = f"there is no {missing[0]}: it is made of Debian's packages, on a Debian"
        raise user_emulation.impossible(root.processor, reason)


def _system() -> tuple[str, str]:
    """Return this host's release by its codename, and by name: ``bookworm``, ``debian-12``."""
    try:
        told = platform.freedesktop_os_release()
    except OSError:
        told = {}
    codename = told.get("VERSION_CODENAME", "unknown")
    return codename, f"{told.get('ID', 'linux')}-{told.get('VERSION_ID', codename)}"


def _told(*command: str) -> list[str]:
    """Return the lines that a command of apt answers with; none where it fails."""
    environment = {**os.environ, "LC_ALL": "C"}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return answer.stdout.splitlines()


def _how_mirrors_are_reached(line: str) -> bool:
    """Tell whether a setting is of proxies, certificates or attempts, and not of indexes."""
    other = ("Acquire::IndexTargets", "Acquire::Languages")
    return line.startswith("Acquire::") and not line.startswith(other)


def _settings(architecture: str, part: Path) -> Iterator[str]:
    """Return lines of an apt.conf whose state and cache lie in ``part``."""
    folders = {
        "Dir::State": part,
        "Dir::State::status": part / "status",
        "Dir::State::lists": part / "lists",
        "Dir::Cache": part,
        "Dir::Cache::archives": part / "archives",
        "Dir::Etc": part / "etc",
        "Dir::Etc::sourcelist": part / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::netrc": "/etc/apt/auth.conf",
        "Dir::Etc::netrcparts": "/etc/apt/auth.conf.d",
        "Dir::Etc::trusted": "/etc/apt/trusted.gpg",
        "Dir::Etc::trustedparts": "/etc/apt/trusted.gpg.d",
    }
    yield f'APT::Architecture "{architecture}";'
    yield f'APT::Architectures {{ "{architecture}"; }};'
    yield 'APT::Install-Recommends "false";'
    # Otherwise root downloads as another user, who may not write there.
    yield 'APT::Sandbox::User "";'
    yield 'Acquire::Languages "none";'
    yield from (f'{name} "{path}";' for name, path in folders.items())


def _finish(root: Path, processor: str) -> None:
    """Do what maintainer scripts would have done, as far as Python and numpy need it."""
    for name in ALTERNATIVES:
        for library in root.glob(f"usr/lib/*/{name}/lib{name}.so.3"):
            link = library.parent.parent / library.name
            link.unlink(missing_ok=True)
            link.symlink_to(f"{name}/{library.name}")
    for name in ("dev", "proc", "root", "sys", "tmp"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    if told := user_emulation.cpuinfo(processor):
        (root / user_emulation.CPUINFO).write_text(told)
    for name in UNREAD:
        shutil.rmtree(root / "usr" / "share" / name, ignore_errors=True)


def _reason(lines: Sequence[str], root: DebianRoot) -> str:
    """Tell why apt or dpkg failed, in its own words, and what to do."""
    errors = [line for line in lines if line.startswith(("E:", "dpkg-deb: error"))]
    said = (errors or [line for line in lines if line.strip()] or ["it gave no reason"])[0]
    text = "\n".join(lines)
    if OFFLINE.search(text):
        return f"{said}\nthe mirror cannot be reached: look at the network, or at apt's sources"
    if UNSUPPORTED.search(text) or "Unable to locate package" in text:
        return f"{said}\nthis host's mirror has no packages for {root.architecture}"
    return f"{said}\nthe whole log is {root.log}"


def _cannot(root: DebianRoot, reason: str) -> DeviceError:
    return DeviceError(CANNOT_MAKE, f"an emulated {root.architecture} cannot be made here", reason)
