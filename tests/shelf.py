"""Boards on a shelf: ``shelf://NAME`` is this host as another machine, with a fault by its name.

``dead`` cannot be reached, ``flaky`` not the first time, ``hangs`` never answers a session, and
``pair-1`` and ``pair-2`` are reached only while both are.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SCHEME = """
import os, time
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.targets.devices.device import Device
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.scheme import AddressScheme
from edgekit.targets.runners import RUNNER_FILES

HERE = Path(__file__).parent


def reach(name, place):
    board = name.address.partition("://")[2]
    seen = HERE / "seen" / board
    first = not seen.exists()
    seen.parent.mkdir(exist_ok=True)
    seen.touch()
    if board == "dead" or (board == "flaky" and first):
        raise DeviceError("EK-DEVICE-040", f"{board} does not answer", "plug it in")
    if board.startswith("pair-"):
        end, other = time.monotonic() + 20, seen.with_name(f"pair-{3 - int(board[-1])}")
        while not other.exists():
            if time.monotonic() > end:
                raise DeviceError("EK-DEVICE-040", f"{board} is alone", "")
            time.sleep(0.01)
    runners = RUNNER_FILES if board != "hangs" else {"litert": HERE / "hanging.txt"}
    return Device(name.text, "litert", "2.3.0", LocalDevice(
        place.folder, place.log, place.limits, runners))


SCHEME = AddressScheme("shelf://NAME", lambda address: None, ("litert",), reach)
"""
HANGING = "import time\ntime.sleep(600)\n"


def put_up(folder: Path) -> Path:
    """The files of the shelf, for ``transports.__path__``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shelf.py").write_text(SCHEME)
    (folder / "hanging.txt").write_text(HANGING)
    return folder


def install(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make ``shelf://`` a way to reach devices in this process."""
    import sys

    from edgekit.targets.devices import transports

    patch.setattr(transports, "__path__", [*transports.__path__, str(put_up(folder))])
    patch.delitem(sys.modules, f"{transports.__name__}.shelf", raising=False)
