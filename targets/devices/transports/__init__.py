"""The ways to reach a device: one file each, named like the scheme of its addresses.

``ssh.py`` holds ``SCHEME``, a :class:`edgekit.targets.devices.scheme.Scheme`, and is what
``ssh://…`` names. A file that is put here is found; nothing else lists it.
"""

from __future__ import annotations

import importlib
import pkgutil

from edgekit.errors import DeviceNameError, did_you_mean
from edgekit.targets.devices.scheme import Scheme


def schemes() -> tuple[str, ...]:
    """The schemes that there are."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def scheme_of(text: str) -> Scheme:
    """The scheme of an address. Raises :class:`DeviceNameError` where it is none of ours."""
    name = text.partition("://")[0]
    if name not in schemes():
        known = [f"{one}://" for one in schemes()]
        message = f"{text!r}: there is no way to reach {name}://{did_you_mean(name, schemes())}"
        raise DeviceNameError("EK-DEVICE-012", message, f"devices by address: {', '.join(known)}")
    module = importlib.import_module(f"{__name__}.{name}")
    scheme: Scheme = module.SCHEME
    return scheme
