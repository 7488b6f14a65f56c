"""Pythons of other releases of Debian, as arm64 binaries with nothing but the standard library."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgekit.errors import DeviceError
from edgekit.targets.devices.remote import debian_root, user_emulation

SURROUNDINGS = ("base-files", "coreutils", "dash", "libstdc++6")


@dataclass(frozen=True)
class ArmPython:
    """A Python, the releases of Debian that its root is made of, and packages that are unpacked
    into it whatever they depend on.
    """

    version: str
    releases: tuple[str, ...]
    alone: tuple[str, ...] = ()


# tflite-runtime's wheels need glibc 2.34: Debian 11, which has Python 3.9, is older. pip for Python
# 3.9 needs distutils, which Debian packs by itself.
OLDEST = ArmPython("3.9", ("bookworm", "bullseye"), ("python3-distutils/bullseye",))
NEWEST = ArmPython("3.14", ("forky",))


def make_root(python: ArmPython, folder: Path) -> Path:
    """Make a root for an emulated Python in an empty folder.

    The test is skipped where this host is not Debian, or its mirror does not have the Python.
    """
    try:
        user_emulation.user_emulation("aarch64")
    except DeviceError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    state, root = folder / "apt", folder / "root"
    _configure(state, python.releases)
    _apt(state, "update", "--error-on=any")
    wanted = (*SURROUNDINGS, f"python{python.version}")
    _apt(state, "install", "--yes", "--download-only", *wanted)
    if python.alone:
        _apt(state, "download", *python.alone)
    root.mkdir()
    for archive in sorted((state / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
    debian_root._finish(root, "aarch64")
    return root


def on_arm(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the shell in a root."""
    command = user_emulation.user_emulation("aarch64").command(root, script)
    return subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)


def _configure(state: Path, releases: tuple[str, ...]) -> None:
    for name in ("lists/partial", "archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    told = debian_root._told("apt-config", "dump")
    lines = [line for line in told if debian_root._how_mirrors_are_reached(line)]
    lines += debian_root._settings("arm64", state)
    (state / "apt.conf").write_text("\n".join(lines) + "\n")
    signed = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
    # The host's own mirror: that of security updates has no releases.
    sites = debian_root._told("apt-get", "indextargets", "--format", "$(SITE)")
    mirror = next((site for site in sites if not site.endswith("-security")), None)
    if mirror is None:
        pytest.skip("this host's apt names no mirror of Debian")
    sources = [f"deb [arch=arm64 {signed}] {mirror} {release} main\n" for release in releases]
    (state / "sources.list").write_text("".join(sources))


def _apt(state: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["apt-get", "--quiet", *arguments],
        cwd=state / "archives",
        env={**os.environ, "APT_CONFIG": str(state / "apt.conf"), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        pytest.skip(f"this host's apt gives no such Python: {said[0] if said else done.stderr}")
