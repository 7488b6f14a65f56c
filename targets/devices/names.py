"""Devices by name: what ``--device`` takes, as data.

A new way to reach hardware is a :class:`Transport` in a file of its own, and how it is named here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgekit.errors import DeviceNameError, did_you_mean
from edgekit.targets.runners import RUNNERS

DEFAULT_RUNTIME = "litert"
# Runtimes that are so much a device of their own that they are named alone.
ALONE = ("tflm",)
PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9._+!-]*)")


@dataclass(frozen=True)
class DeviceName:
    """A device as it was named: how it is reached, its runtime, and the release where one is named.

    ``package`` and ``version`` are of ``local:PACKAGE==VERSION``, else empty.
    """

    text: str
    transport: str
    runtime: str
    package: str = ""
    version: str = ""


def parse(text: str) -> DeviceName:
    """A device's name: ``local``, ``local:RUNTIME``, ``local:PACKAGE==VERSION`` or ``tflm``.

    Raises :class:`DeviceNameError` where it names no device, with the closest name that does.
    """
    transport, colon, rest = text.partition(":")
    if text in ALONE:
        return DeviceName(text, "local", text)
    if transport != "local" or (colon and not rest):
        known = ["local", *(f"local:{name}" for name in RUNNERS), *ALONE]
        hint = f"devices: {', '.join(known)}, local:PACKAGE==VERSION"
        message = f"{text!r} is no device{did_you_mean(text, known)}"
        raise DeviceNameError("EK-DEVICE-012", message, hint)
    if not rest:
        return DeviceName(text, "local", DEFAULT_RUNTIME)
    pinned = PINNED.fullmatch(rest)
    if pinned is None:
        return DeviceName(text, "local", _runtime(text, rest))
    return DeviceName(text, "local", _carried(text, pinned[1]), pinned[1], pinned[2])


def _runtime(text: str, name: str) -> str:
    if name in RUNNERS:
        return name
    hint = f"runtimes: {', '.join(RUNNERS)}"
    message = f"{text!r}: no runtime {name!r}{did_you_mean(name, RUNNERS)}"
    raise DeviceNameError("EK-DEVICE-012", message, hint)


def _carried(text: str, package: str) -> str:
    """The runtime that a package carries."""
    for name, runner in RUNNERS.items():
        if runner.distribution == package:
            return name
    known = sorted({runner.distribution for runner in RUNNERS.values()})
    hint = f"packages of runtimes: {', '.join(known)}{did_you_mean(package, known)}"
    raise DeviceNameError("EK-DEVICE-012", f"{text!r}: no runtime is in {package!r}", hint)
