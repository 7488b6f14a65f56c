"""Devices by name: what ``--device`` takes, read."""

from __future__ import annotations

import re
from collections.abc import Collection

from edgekit.errors import DeviceNameError, did_you_mean
from edgekit.targets.devices.device import NATIVE, DeviceName
from edgekit.targets.devices.transports import scheme_of, schemes
from edgekit.targets.runners import RUNNERS

DEFAULT_RUNTIME = "litert"
# Runtimes that are so much a device of their own that they are named alone.
ALONE = ("tflm",)
PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9._+!-]*)")


def parse(text: str) -> DeviceName:
    """Return a device's name: ``local``, ``local:RUNTIME``, ``local:PACKAGE==VERSION``, ``tflm``,
    or an address such as ``ssh://USER@HOST``, with ``#RUNTIME`` or ``#PACKAGE==VERSION`` where
    wanted.

    Raises :class:`DeviceNameError` where it names no device, with the closest name that does.
    """
    if "://" in text:
        return _addressed(text)
    transport, colon, rest = text.partition(":")
    if text in ALONE:
        return DeviceName(text, "local", text)
    if transport != "local" or (colon and not rest):
        known = ["local", *(f"local:{name}" for name in here()), *ALONE]
        addresses = ", ".join(f"{name}://…" for name in schemes())
        hint = f"devices: {', '.join(known)}, local:PACKAGE==VERSION, {addresses}"
        message = f"{text!r} is not a device{did_you_mean(text, known)}"
        raise DeviceNameError("EK-DEVICE-012", message, hint)
    if not rest:
        return DeviceName(text, "local", DEFAULT_RUNTIME)
    pinned = PINNED.fullmatch(rest)
    if pinned is None:
        return DeviceName(text, "local", _runtime(text, rest, here()))
    return DeviceName(text, "local", _carried(text, pinned[1]), pinned[1], pinned[2])


def here() -> tuple[str, ...]:
    """Return the runtimes of this host, those of plug-ins too."""
    return (*RUNNERS, NATIVE)


def _addressed(text: str) -> DeviceName:
    scheme = scheme_of(text)
    address, _, wanted = text.partition("#")
    scheme.check(address)
    transport = text.partition("://")[0]
    pinned = PINNED.fullmatch(wanted)
    if pinned is not None:
        runtime = _carried(text, pinned[1])
        return DeviceName(text, transport, runtime, pinned[1], pinned[2], address)
    runtime = _runtime(text, wanted, scheme.runtimes) if wanted else ""
    return DeviceName(text, transport, runtime, address=address)


def _runtime(text: str, name: str, known: Collection[str]) -> str:
    if name in known:
        return name
    hint = f"runtimes: {', '.join(known)}"
    message = f"{text!r}: no runtime {name!r}{did_you_mean(name, known)}"
    raise DeviceNameError("EK-DEVICE-012", message, hint)


def _carried(text: str, package: str) -> str:
    """Return the runtime that a package carries."""
    runners = RUNNERS.working()
    for name, runner in runners.items():
        if runner.distribution == package:
            return name
    known = sorted({runner.distribution for runner in runners.values()})
    hint = f"packages of runtimes: {', '.join(known)}{did_you_mean(package, known)}"
    raise DeviceNameError("EK-DEVICE-012", f"{text!r}: no runtime is in {package!r}", hint)
