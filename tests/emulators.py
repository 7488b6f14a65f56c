"""Emulated devices for tests: made once, and hung behind a real sshd."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ssh_server import SshServer

from edgekit.errors import DeviceError
from edgekit.targets.devices.transports import emulator
from edgekit.types import Silent

# A folder to keep them in for the next session; each is 120 MB, of 35 MB that are downloaded.
VARIABLE = "EDGEKIT_TEST_EMULATORS"
ASKED = "$SSH_ORIGINAL_COMMAND"


def cache_home(shared: Path) -> Path:
    """Where the emulated devices of this session lie, as ``XDG_CACHE_HOME``."""
    named = os.environ.get(VARIABLE, "")
    return Path(named).resolve() if named else shared / "emulators"


@contextmanager
def created(home: Path, address: str) -> Iterator[emulator.EmulatorConnection]:
    """The device of an address below ``home``, made where it is not.

    The test is skipped where this host cannot emulate it, or reaches no mirror.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        try:
            emulator.create(address, Silent())
        except DeviceError as error:
            if error.code == "EK-DEVICE-060" or "cannot be reached" in error.hint:
                pytest.skip(f"{error.message}: {error.hint}")
            raise
        yield emulator.connect(address)


@contextmanager
def behind_ssh(device: emulator.EmulatorConnection, folder: Path) -> Iterator[SshServer]:
    """An sshd whose every login is on the device."""
    folder.mkdir(parents=True)
    words = [f'"{ASKED}"' if one == ASKED else shlex.quote(one) for one in device.command(ASKED)]
    login = folder / "login"
    login.write_text(f"#!/bin/sh\nexec {' '.join(words)}\n")
    login.chmod(0o755)
    with SshServer(folder, wrapper=str(login)) as server:
        yield server
