"""``adb://…``: an Android device through the installed ``adb``, by cable or over the network.

``ADB`` names another program than the ``adb`` on the PATH; adb's own variables count
(``ANDROID_SERIAL``, ``ANDROID_ADB_SERVER_PORT``). Sources: the Android Open Source Project's
``packages/modules/adb``: docs/user/adb.1.md (commands), SERVICES.TXT, OVERVIEW.TXT (states).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgekit.errors import ConnectionLost, DeviceError, DeviceNameError
from edgekit.targets.devices.device import NATIVE, Device, DeviceName, Workplace
from edgekit.targets.devices.remote import open_remote
from edgekit.targets.devices.remote.android import Phone
from edgekit.targets.devices.remote.benchmark_model import RUNTIME, open_benchmark_model
from edgekit.targets.devices.remote.shell import Shell
from edgekit.targets.devices.scheme import AddressScheme

FORM = "adb://[SERIAL | HOST:PORT][/FOLDER]"
# Where adb's shell may write and start programs on every Android.
FOLDER = "/data/local/tmp/edgekit"
# Termux' own; adb's shell may use it only where the device lets it (root, or a debuggable build).
PYTHONS = ("/data/data/com.termux/files/usr/bin/python3",)
# Seconds that adb may take over what moves no data: it waits 10 for a device on the network.
PATIENCE = 30.0

RUNTIMES = ("litert", "tflite-runtime", NATIVE, RUNTIME)
ADDRESS = re.compile(r"adb://(?P<serial>[^/\s]*)(?P<folder>/[^\n]*)?")
ON_NETWORK = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\s]+):[0-9]{1,5}")
# What adb writes of its own failures; older releases say "error:", newer ones "adb:".
OWN_WORDS = re.compile(r"^(?:error|adb(?:\.exe)?): (.+)$", re.MULTILINE)
UNCONFIRMED = ("unauthorized", "authorizing")

# A connection that drops looks to adb like a script that ended well: status 0, output cut off. So
# the device says 253 for success and 252 for 1, which are also what adb says of its own failures;
# what is left of 0 and 1 is adb's word, and becomes 255, as it is with ssh.
ENDED = (
    "sh -c {script}; case $? in 0) exit 253;; 1) exit 252;; 25[2-5]) exit 254;; *) exit $?; esac"
)
JUDGED = '"$@"; case $? in 253) exit 0;; 252) exit 1;; [01]) exit 255;; *) exit $?; esac'
LOST = 255


@dataclass(frozen=True)
class AdbConnection:
    """A shell on an Android device. ``serial`` is how adb names it, ``adb`` the program."""

    adb: str
    serial: str
    folder: str = FOLDER
    pythons: tuple[str, ...] = PYTHONS

    @property
    def address(self) -> str:
        """``adb://SERIAL``."""
        return f"adb://{self.serial}"

    def command(self, script: str) -> list[str]:
        """Return ``adb shell`` without a terminal; connect to a device on the network again.

        ``script`` has to be below 60 kB. Its own statuses 252 to 255 are told as 254.
        """
        self._connect()
        there = ENDED.format(script=shlex.quote(script))
        return ["sh", "-c", JUDGED, "sh", self.adb, "-s", self.serial, "shell", "-T", there]

    def environment(self) -> dict[str, str]:
        """Return the host's own: adb reads ``ANDROID_ADB_SERVER_PORT`` and its like there."""
        return dict(os.environ)

    def failure(self, status: int, said: str) -> DeviceError | None:
        """Return what adb says of a device that is not reached: each way with what to do."""
        if status != LOST:
            return None
        found = OWN_WORDS.findall(said)
        words = str(found[-1]).strip() if found else ""
        if not words or "closed" in words or "protocol fault" in words:
            hint = f"{words or 'the connection dropped'}: check the cable or the network, run again"
            return ConnectionLost("EK-DEVICE-073", f"{self.address} went away in mid-use", hint)
        return _refusal(self.adb, self.serial, words)

    def reach(self) -> None:
        """See that the device answers, connecting to one on the network.

        Raises :class:`DeviceError` where it does not, or where its shell does not tell how a
        command ended.
        """
        told = self._connect()
        asked = _adb(self.adb, "-s", self.serial, "features")
        if asked.returncode:
            words = OWN_WORDS.findall(asked.stderr)
            said = words[-1] if words else asked.stderr.strip()
            raise _refusal(self.adb, self.serial, said, told)
        if "shell_v2" not in asked.stdout.split():
            hint = "an Android before 7.0: adb tells no exit status there, and mixes the outputs"
            raise DeviceError("EK-DEVICE-072", f"{self.address} has no usable shell", hint)

    def _connect(self) -> str:
        """Connect a device on the network where it is not; what adb says of it.

        One that dropped stays offline else, and one that waits for its owner must be left alone.
        """
        if not ON_NETWORK.fullmatch(self.serial):
            return ""
        state = devices(self.adb).get(self.serial)
        if state in ("device", *UNCONFIRMED):
            return ""
        if state is not None:
            _adb(self.adb, "disconnect", self.serial)
        # Its status is 0 for failures too: what comes after tells.
        return _adb(self.adb, "connect", self.serial).stdout.strip()


def reached(address: str) -> AdbConnection:
    """Return the connection of an address, which answers. Raises :class:`DeviceError`."""
    matched = _matched(address)
    adb = os.environ.get("ADB") or "adb"
    program = shutil.which(adb)
    if program is None:
        hint = "install Android's platform tools (Debian: apt install adb), or name it with ADB=…"
        raise DeviceError("EK-DEVICE-065", f"there is no program {adb!r} to reach {address}", hint)
    started = _adb(program, "start-server")
    if started.returncode:
        hint = f"{started.stderr.strip()}\nsee ANDROID_ADB_SERVER_PORT and what `adb devices` says"
        raise DeviceError("EK-DEVICE-066", "adb's server does not start", hint)
    serial = matched["serial"] or _only(program)
    connection = AdbConnection(program, serial, matched["folder"] or FOLDER)
    connection.reach()
    return connection


def devices(adb: str) -> Mapping[str, str]:
    """Return the state of every device that adb's server knows, by serial number.

    Raises :class:`DeviceError` where there is no server.
    """
    listed = _adb(adb, "devices")
    if listed.returncode:
        raise DeviceError("EK-DEVICE-066", "adb's server does not answer", listed.stderr.strip())
    rows = [line.split("\t") for line in listed.stdout.splitlines() if "\t" in line]
    # "no permissions (user in plugdev group; …); see [https://…]" is a state too.
    return {row[0].strip(): row[1].strip() for row in rows}


def _only(adb: str) -> str:
    """Return the one device that is attached, or that ``ANDROID_SERIAL`` names."""
    if named := os.environ.get("ANDROID_SERIAL"):
        return named
    known = devices(adb)
    if not known:
        hint = "plug one in with USB debugging enabled, or name one on the network: adb://HOST:PORT"
        raise DeviceError("EK-DEVICE-069", "no Android device is attached", hint)
    if len(known) > 1:
        hint = f"name one: {', '.join(f'adb://{serial}' for serial in known)}"
        raise DeviceError("EK-DEVICE-070", f"{len(known)} Android devices are attached", hint)
    return next(iter(known))


def _refusal(adb: str, serial: str, words: str, told: str = "") -> DeviceError:
    """Return the error of what adb says instead of reaching a device, ``told`` when it connected
    to it.
    """
    name = f"adb://{serial}"
    if "cannot connect to daemon" in words or "failed to check server version" in words:
        return DeviceError("EK-DEVICE-066", "adb's server does not answer", words)
    if "offline" in words:
        hint = "plug it in again, or: adb reconnect offline"
        return ConnectionLost("EK-DEVICE-068", f"{name} is offline", hint)
    if any(one in words for one in UNCONFIRMED):
        hint = "unlock its screen and confirm this computer's key there: Allow USB debugging?"
        return DeviceError("EK-DEVICE-067", f"{name} has not authorized this host", hint)
    if "permissions" in words:
        hint = f"{words}\nadd udev rules (Debian: apt install android-sdk-platform-tools-common)"
        return DeviceError("EK-DEVICE-067", f"this host's user may not use {name}", hint)
    if ON_NETWORK.fullmatch(serial) and "not found" in words:
        hint = "is it on, on this network, with debugging over it enabled? adb pair, adb tcpip"
        message = f"{name} cannot be connected to"
        return DeviceError("EK-DEVICE-071", message, f"{told}\n{hint}".strip())
    if "not found" in words or "no devices" in words:
        listed = [f"{one} ({state})" for one, state in devices(adb).items()]
        hint = f"adb devices: {', '.join(listed) or 'none'}"
        return DeviceError("EK-DEVICE-069", f"{name} is not attached", hint)
    hint = f"{words}\nsee what this says: adb -s {serial} shell true"
    return DeviceError("EK-DEVICE-071", f"{name} cannot be reached", hint)


def _adb(adb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [adb, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        message = f"adb {arguments[0]} does not answer"
        raise DeviceError("EK-DEVICE-066", message, str(error)) from error


def _matched(address: str) -> re.Match[str]:
    matched = ADDRESS.fullmatch(address)
    if matched is None:
        hint = f"it reads {FORM}: serial numbers are those of `adb devices`"
        raise DeviceNameError("EK-DEVICE-012", f"{address!r} names no Android device", hint)
    return matched


def check(address: str) -> None:
    """Raise :class:`DeviceNameError` where an address is malformed."""
    _matched(address)


def _open(name: DeviceName, place: Workplace) -> Device:
    connection = reached(name.address)
    runtime = name.runtime or ("" if _has_python(connection) else RUNTIME)
    if runtime == RUNTIME:
        return open_benchmark_model(connection, name, place)
    device = open_remote(connection, name, place)
    if runtime == NATIVE:
        return device
    return replace(device, reached=Phone(device.reached, connection))


def _has_python(connection: AdbConnection) -> bool:
    names = " || ".join(f"command -v {name}" for name in ("python3", *connection.pythons))
    return Shell(connection).run(names).status == 0


def _on_host(address: str) -> bool:
    """Tell whether a device is one of the Android emulator's, by the name that it gives them."""
    return address.startswith("adb://emulator-")


SCHEME = AddressScheme(FORM, check, RUNTIMES, _open, connect=reached, on_host=_on_host)
