"""A shell on another machine, reached through a local command: ssh, adb, an emulator."""

from __future__ import annotations

from typing import Protocol

from edgekit.errors import DeviceError


class Connection(Protocol):
    """How commands get to a device. All that edgekit does there goes through :meth:`command`.

    It only makes command lines, and may be asked from any thread: edgekit starts the programs, and
    ends them. It owns neither the device nor what runs there.
    """

    @property
    def address(self) -> str:
        """The device as it is named, without a runtime: ``ssh://pi@board:2222``."""

    @property
    def folder(self) -> str:
        """Where edgekit keeps its files there: absolute, or below the home folder."""

    @property
    def pythons(self) -> tuple[str, ...]:
        """Where a Python may be besides on the PATH there, absolute."""

    def command(self, script: str) -> list[str]:
        """Return a local command whose stdin, stdout and stderr are those of ``sh -c SCRIPT``
        there.

        Byte for byte; its status is the script's, or what the connection's program says of its own
        failure. ``script`` may hold anything that sh takes, quotes and line ends too.
        """

    def environment(self) -> dict[str, str]:
        """Return the environment variables that the local command needs."""

    def failure(self, status: int, said: str) -> DeviceError | None:
        """Tell why the device was not reached, from a command's status and what it wrote to stderr.

        Says what, why, and what to do. ``None`` where it was reached: the script itself ended so.
        """
