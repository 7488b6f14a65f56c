"""The ways to reach a device: one file each, named like the scheme of its addresses.

``ssh.py`` holds ``SCHEME``, a :class:`edgekit.targets.devices.scheme.AddressScheme`, and is what
``ssh://…`` names. A file that is put here is found; nothing else lists it. Another
package adds a scheme by an entry point.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Iterator

from edgekit.errors import DeviceNameError, did_you_mean
from edgekit.plugins import Table
from edgekit.targets.devices.scheme import AddressScheme


def _own(name: str) -> AddressScheme:
    scheme: AddressScheme = importlib.import_module(f"{__name__}.{name}").SCHEME
    return scheme


class _Files(Collection[str]):
    """The names of the files that lie here now."""

    def __iter__(self) -> Iterator[str]:
        return (module.name for module in pkgutil.iter_modules(__path__))

    def __contains__(self, name: object) -> bool:
        return any(one == name for one in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


SCHEMES: Table[AddressScheme] = Table("edgekit.transports", AddressScheme, _Files(), _own)


def schemes() -> tuple[str, ...]:
    """Return the schemes that there are, those of plug-ins too."""
    return tuple(sorted(SCHEMES))


def scheme_of(text: str) -> AddressScheme:
    """Return the scheme of an address.

    Raises :class:`DeviceNameError` where there is none of this name, and :class:`PluginError` where
    the package that adds it is broken.
    """
    name = text.partition("://")[0]
    if name not in SCHEMES:
        known = [f"{one}://" for one in schemes()]
        message = f"{text!r}: there is no way to reach {name}://{did_you_mean(name, schemes())}"
        raise DeviceNameError("EK-DEVICE-012", message, f"devices by address: {', '.join(known)}")
    return SCHEMES[name]
