"""How a device is opened by its name: on this host, or by the scheme of its address."""

from __future__ import annotations

from importlib import metadata

from edgekit.errors import NotInstalled
from edgekit.targets.devices import environment
from edgekit.targets.devices.device import NATIVE, Device, DeviceName, Workplace
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.transports import scheme_of
from edgekit.targets.runners import RUNNERS


def open_device(name: DeviceName, place: Workplace) -> Device:
    """Open the device of a name.

    A release that is named is installed into an environment of its own where it is not there yet,
    which ``place.progress`` is told. A device with an address is connected to: close it. Raises
    :class:`DeviceError` where there is no such device, its runtime is not installed, or the release
    cannot be had there.
    """
    if name.address:
        return scheme_of(name.text).open(name, place)
    return _open_local(name, place)


def _open_local(name: DeviceName, place: Workplace) -> Device:
    if name.runtime == NATIVE:
        # It brings all that reaches other machines, which most commands do without.
        from edgekit.targets.devices.local_native import open_local_native

        return open_local_native(name, place)
    if name.version:
        made = environment.obtain(name, place.folder, place.progress)
        reached = LocalDevice(
            place.folder, place.log, place.limits, place.runners, python=made.python
        )
        return Device(name.text, name.runtime, made.version, reached)
    distribution = RUNNERS[name.runtime].distribution
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError as error:
        hint = f"{distribution} is not installed: pip install {distribution}"
        raise NotInstalled("EK-DEVICE-002", f"{name.text} is unavailable", hint) from error
    reached = LocalDevice(place.folder, place.log, place.limits, place.runners)
    return Device(name.text, name.runtime, version, reached)
