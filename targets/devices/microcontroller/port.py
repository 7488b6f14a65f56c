"""A serial port of this host: opened for edgekit alone, or an error that says why not."""

from __future__ import annotations

import contextlib
import errno
import getpass
import termios
from pathlib import Path

import serial
from serial.tools import list_ports

from edgekit.errors import DeviceError

# Seconds that one read waits for a byte, and a write for a port that takes none.
READ, WRITE = 0.02, 5.0
MISSING = (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO)
BUSY = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)


class Unplugged(Exception):
    """The port went away while it was used."""


class Port:
    """An open port. Raises :class:`Unplugged` where it goes away."""

    def __init__(self, opened: serial.Serial) -> None:
        self._opened = opened

    def read(self) -> bytes:
        """Return what has arrived, after waiting a moment where nothing has."""
        try:
            return bytes(self._opened.read(max(1, self._opened.in_waiting)))
        except (OSError, termios.error) as error:
            raise Unplugged(str(error)) from error

    def write(self, content: bytes) -> None:
        """Write all of the bytes, in order."""
        try:
            self._opened.write(content)
        except (OSError, termios.error) as error:
            raise Unplugged(str(error)) from error

    def close(self) -> None:
        """Let the port go; a second time does nothing."""
        with contextlib.suppress(OSError, termios.error):
            self._opened.close()


def open_port(path: str, baud: int) -> Port:
    """Open a port with a lock of its own, 8 data bits, no parity, 1 stop bit.

    Raises :class:`DeviceError`: EK-DEVICE-080 where there is none, 081 where this user may not use
    it, 082 where another program does.
    """
    try:
        opened = serial.Serial(path, baud, timeout=READ, write_timeout=WRITE, exclusive=True)
    except (OSError, termios.error, ValueError) as error:
        raise _refused(path, baud, error) from error
    return Port(opened)


def ports() -> tuple[str, ...]:
    """Return the serial ports of this host that something is behind, with what it is."""
    found = [one for one in list_ports.comports() if one.hwid != "n/a"]
    return tuple(sorted(f"{one.device} ({one.description})" for one in found))


def _refused(path: str, baud: int, error: Exception) -> DeviceError:
    number = getattr(error, "errno", None)
    if number in BUSY:
        hint = "another program has it open: a serial monitor, or another edgekit"
        return DeviceError("EK-DEVICE-082", f"{path} is in use", hint)
    if number in (errno.EACCES, errno.EPERM):
        hint = (
            f"the port is of the group {_group(path)}:"
            f" sudo usermod -aG {_group(path)} {getpass.getuser()}, then log in again"
        )
        return DeviceError("EK-DEVICE-081", f"{path}: permission denied", hint)
    there = ", ".join(ports()) or "none with a device behind it"
    if number in MISSING or not Path(path).exists():
        message = f"there is no serial port {path}"
    else:
        message = f"{path} cannot be opened as a serial port at {baud} baud: {error}"
    return DeviceError("EK-DEVICE-080", message, f"serial ports here: {there}")


def _group(path: str) -> str:
    try:
        return Path(path).group()
    except (OSError, KeyError, NotImplementedError):
        return "dialout"
