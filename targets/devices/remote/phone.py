"""A device behind a shell that is an Android phone: what its own programs tell is a fact too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.remote import android
from edgekit.targets.devices.transport import Forwarding, Transport
from edgekit.types import Json


@dataclass(frozen=True)
class Phone(Forwarding):
    """``reached``, with the facts that ``connection`` is told of the phone around it."""

    reached: Transport
    connection: Connection

    def facts(self) -> Mapping[str, Json]:
        """What the device says of itself, and what Android says besides."""
        own, told = super().facts(), android.facts(self.connection)
        found = {**told, **own}
        reasons = {**told["unavailable"], **own.get("unavailable", {})}
        found["unavailable"] = {k: v for k, v in reasons.items() if k not in found}
        return found
