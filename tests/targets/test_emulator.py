"""Emulated devices by address: how they are made, and why they cannot be."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from forking import heed_interrupts

from edgekit.errors import DeviceError, DeviceNameError, ExitCode
from edgekit.targets.devices import installer, parse
from edgekit.targets.devices.remote import debian_root, user_emulation
from edgekit.targets.devices.remote.user_emulation import MARK, UserEmulation
from edgekit.targets.devices.transports import emulator
from edgekit.types import Silent

ADDRESS = "emulator://arm64"
EMULATION = UserEmulation("aarch64", "-Urm", Path("/nowhere/qemu-aarch64.conf"))
# What apt says where a mirror has nothing for an architecture, cannot be reached, or lies.
UNSUPPORTED = "N: Skipping acquire as repository doesn't support architecture 'arm64'"
NO_PACKAGE = "E: Unable to locate package python3-minimal"
OFFLINE = "E: Failed to fetch http://mirror/InRelease  Could not resolve 'mirror'"
DAMAGED = "E: Failed to fetch http://mirror/Packages.xz  Hash Sum mismatch"
SOURCES = "echo 'http://mirror/|{codename}|main|Packages'"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is created in the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return installer.cache("emulators")


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """This host emulates: what is tested comes after."""
    monkeypatch.setattr(user_emulation, "user_emulation", lambda _: EMULATION)


@pytest.fixture
def distribution(monkeypatch: pytest.MonkeyPatch) -> str:
    """This host is of a Debian release; its codename."""
    told = {"ID": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm"}
    monkeypatch.setattr(debian_root.platform, "freedesktop_os_release", lambda: told)
    return told["VERSION_CODENAME"]


def planted(folder: Path, programs: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which these programs come first, each a script of sh."""
    folder.mkdir(exist_ok=True)
    for name, script in programs.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize("text", [ADDRESS, "emulator://armhf", f"{ADDRESS}#tflite-runtime"])
def test_addresses_are_read(text: str) -> None:
    found = parse(text)
    assert (found.transport, found.address) == ("emulator", text.partition("#")[0])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("emulator://arm46", "did you mean 'arm64'"),
        ("emulator://", "emulator://arm64, emulator://armhf"),
        ("emulator://../x", "emulator://arm64, emulator://armhf"),
        (f"{ADDRESS}#tflm", "tflite-runtime"),
    ],
)
def test_addresses_of_nothing_are_usage_errors(text: str, hint: str) -> None:
    with pytest.raises(DeviceNameError) as caught:
        parse(text)
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-012", ExitCode.USAGE)
    assert hint in f"{caught.value.message} {caught.value.hint}"


def test_device_that_was_not_created_is_unavailable_with_the_command_that_creates_it() -> None:
    with pytest.raises(DeviceError) as caught:
        emulator.connect(ADDRESS)
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-061", 3)
    assert "edgekit devices create emulator://arm64" in caught.value.hint


def test_device_that_was_not_created_cannot_be_removed() -> None:
    with pytest.raises(DeviceError) as caught:
        emulator.remove(ADDRESS, Silent())
    assert caught.value.code == "EK-DEVICE-063"


@pytest.mark.usefixtures("distribution")
def test_remove_deletes_the_root_and_its_log(cache: Path) -> None:
    root = cache / "debian-12-arm64"
    (root / "usr").mkdir(parents=True)
    (cache / "debian-12-arm64.log").touch()
    assert emulator.remove(ADDRESS, Silent()) == root
    assert [path.name for path in cache.iterdir()] == ["lock"]


@pytest.mark.parametrize("architecture", ["arm64", "armhf"])
def test_architecture_of_the_host_itself_is_not_emulated(
    monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    monkeypatch.setitem(emulator.NATIVE, architecture, (os.uname().machine,))
    with pytest.raises(DeviceError) as caught:
        emulator.create(f"emulator://{architecture}", Silent())
    assert caught.value.code == "EK-DEVICE-060"
    assert "local" in caught.value.hint


@pytest.mark.parametrize(
    ("release", "uid", "registered", "namespaces", "reason"),
    [
        ("6.12.1", 1000, False, True, "apt-get install qemu-user-static"),
        ("6.1.0-50-amd64", 1000, True, True, "only root"),
        ("6.12.1", 1000, True, False, "user namespaces are off"),
        ("6.12.1", 0, True, False, "user namespaces are off"),
    ],
    ids=["no qemu-user", "old kernel", "no namespaces", "no namespaces as root"],
)
def test_host_that_cannot_emulate_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    release: str,
    uid: int,
    registered: bool,
    namespaces: bool,
    reason: str,
) -> None:
    host(tmp_path, monkeypatch, release, uid, registered)
    planted(tmp_path / "bin", {"unshare": f"exit {int(not namespaces)}"}, monkeypatch)
    with pytest.raises(DeviceError) as caught:
        user_emulation.user_emulation("aarch64")
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-060", 3)
    assert reason in caught.value.hint


@pytest.mark.parametrize(
    ("release", "uid", "table", "unshare", "flags", "own"),
    [
        ("6.12.1", 1000, "", "exit 0", "-Urm", True),
        ("6.12.1", 0, "", '[ "$1" = -m ]', "-m", True),
        ("6.1.0", 0, "", "exit 0", "-m", True),
        ("6.1.0", 1000, "enabled\nflags: POF\n", "exit 0", "-Urm", False),
        ("6.12.1", 1000, "enabled\nflags: P\n", "exit 0", "-Urm", True),
        ("6.12.1", 1000, "disabled\nflags: F\n", "exit 0", "-Urm", True),
    ],
    ids=[
        "user",
        "root without namespaces",
        "root of an old kernel",
        "machine's own table",
        "emulator opened late",
        "table switched off",
    ],
)
def test_programs_are_entered_by_the_least_that_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    release: str,
    uid: int,
    table: str,
    unshare: str,
    flags: str,
    own: bool,
) -> None:
    host(tmp_path, monkeypatch, release, uid, True)
    if table:
        (tmp_path / "formats").mkdir()
        (tmp_path / "formats" / "qemu-aarch64").write_text(table)
    planted(tmp_path / "bin", {"unshare": unshare}, monkeypatch)
    found = user_emulation.user_emulation("aarch64")
    assert (found.flags, found.registration is not None) == (flags, own)


def host(
    folder: Path, monkeypatch: pytest.MonkeyPatch, release: str, uid: int, registered: bool
) -> None:
    """A host with this kernel and user, on which qemu-user is installed or not."""
    kernel = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    monkeypatch.setattr(user_emulation, "_kernel", lambda: kernel)
    monkeypatch.setattr(user_emulation.os, "geteuid", lambda: uid)
    monkeypatch.setattr(user_emulation, "FORMATS", folder / "formats")
    monkeypatch.setattr(user_emulation, "REGISTRATIONS", (str(folder / "binfmt.d"),))
    if registered:
        (folder / "binfmt.d").mkdir()
        (folder / "binfmt.d" / "qemu-aarch64.conf").touch()


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (125, f"mount: permission denied\n{MARK} table\n", "binfmt_misc"),
        (125, f"sh: write error\n{MARK} registration\n", "refused the registration"),
        (125, f"mount: no\n{MARK} proc\n", "/proc cannot be mounted"),
        (1, "unshare: unshare failed: Operation not permitted\n", "user namespaces are off"),
        (126, "chroot: cannot run '/bin/sh': Exec format error\n", "does not start qemu-user"),
        (125, "something of the script's own\n", ""),
        (0, f"{MARK} table\n", ""),
    ],
)
def test_failure_to_get_in_is_told_from_the_scripts_own(
    status: int, said: str, reason: str
) -> None:
    found = emulator.EmulatorConnection(ADDRESS, Path("/x"), EMULATION).failure(status, said)
    assert (found is not None) == bool(reason)
    if found is not None:
        assert found.code == "EK-DEVICE-060"
        assert reason in found.hint


@pytest.mark.parametrize(
    ("update", "install", "reason"),
    [
        (f"echo '{OFFLINE}'; exit 100", "exit 0", "mirror cannot be reached"),
        (f"echo '{DAMAGED}'; exit 100", "exit 0", "Hash Sum mismatch"),
        (f'echo "{UNSUPPORTED}"', f"echo '{NO_PACKAGE}'; exit 100", "no packages for arm64"),
        ("exit 1", "exit 0", "it gave no reason"),
    ],
    ids=["offline", "damaged", "unsupported", "silent"],
)
@pytest.mark.usefixtures("emulated")
def test_apt_that_fails_is_told_with_its_reason_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cache: Path,
    distribution: str,
    update: str,
    install: str,
    reason: str,
) -> None:
    apt(tmp_path, monkeypatch, distribution, update, install)
    with pytest.raises(DeviceError) as caught:
        emulator.create(ADDRESS, Silent())
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-062", 3)
    assert reason in caught.value.hint
    assert {path.name for path in cache.iterdir()} == {"lock", "debian-12-arm64.log"}


def apt(
    folder: Path, monkeypatch: pytest.MonkeyPatch, codename: str, update: str, install: str
) -> None:
    """An apt whose mirror is of this release, and that does so on update and install."""
    sources = SOURCES.format(codename=codename)
    script = f'case "$1" in\nindextargets) {sources};;\nupdate) {update};;\n*) {install};;\nesac'
    programs = {"apt-get": script, "apt-config": "exit 0", "dpkg-deb": "exit 0"}
    planted(folder / "apt", programs, monkeypatch)


@pytest.mark.usefixtures("emulated")
def test_host_whose_apt_knows_no_mirror_of_its_release_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distribution: str
) -> None:
    apt(tmp_path, monkeypatch, f"{distribution}-security", "exit 0", "exit 0")
    with pytest.raises(DeviceError, match="EK-DEVICE-062") as caught:
        emulator.create(ADDRESS, Silent())
    assert "no mirror of debian-12 bookworm" in caught.value.hint


@pytest.mark.usefixtures("emulated")
def test_host_that_is_no_debian_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError) as caught:
        emulator.create(ADDRESS, Silent())
    assert caught.value.code == "EK-DEVICE-060"
    assert "there is no apt-get" in caught.value.hint


CREATE = """
from pathlib import Path
from edgekit.targets.devices.remote import debian_root, user_emulation
from edgekit.targets.devices.transports import emulator
from edgekit.types import Silent
told = {"ID": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm"}
debian_root.platform.freedesktop_os_release = lambda: told
user_emulation.user_emulation = lambda _: user_emulation.UserEmulation("aarch64", "-Urm", None)
emulator.create("emulator://arm64", Silent())
"""


def runs(pid: int) -> bool:
    """Tell whether a process is there. One that was killed stays listed until init waits for it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_interrupt_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, distribution: str
) -> None:
    apt(tmp_path, monkeypatch, distribution, f"echo $$ > {tmp_path}/pid; exec sleep 60", "exit 0")
    process = subprocess.Popen(
        [sys.executable, "-c", CREATE], stderr=subprocess.DEVNULL, preexec_fn=heed_interrupts
    )
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) != 0
    finally:
        process.kill()
        process.wait()
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 20
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs(pid)
    assert {path.name for path in cache.iterdir()} == {"lock", "debian-12-arm64.log"}


class Waiting(Silent):
    """Tells when it is waited for another process."""

    def __init__(self) -> None:
        self.waited = threading.Event()

    def stage(self, name: str) -> None:
        if "waiting for another edgekit that makes an emulated device" in name:
            self.waited.set()


@pytest.mark.usefixtures("emulated", "distribution")
def test_creators_take_turns_and_the_second_makes_nothing(cache: Path) -> None:
    progress = Waiting()
    cache.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool, (cache / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = pool.submit(emulator.create, ADDRESS, progress)
        assert progress.waited.wait(10)
        (cache / "debian-12-arm64").mkdir()
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert second.result(10) == cache / "debian-12-arm64"
    assert {path.name for path in cache.iterdir()} == {"lock", "debian-12-arm64"}


def test_what_was_left_half_made_is_no_root(cache: Path) -> None:
    (cache / "debian-12-arm64.part" / "root").mkdir(parents=True)
    with pytest.raises(DeviceError, match="EK-DEVICE-061"):
        emulator.connect(ADDRESS)
