"""A device behind a shell that is an Android phone: what its own programs tell is a fact too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.remote import android
from edgekit.targets.devices.transport import RunnerSession, Transport
from edgekit.types import Json


@dataclass(frozen=True)
class Phone:
    """``reached``, with the facts that ``connection`` is told of the phone around it."""

    reached: Transport
    connection: Connection

    def facts(self) -> Mapping[str, Json]:
        """What the device says of itself, and what Android says besides."""
        own, told = self.reached.facts(), android.facts(self.connection)
        found = {**told, **own}
        reasons = {**told["unavailable"], **own.get("unavailable", {})}
        found["unavailable"] = {k: v for k, v in reasons.items() if k not in found}
        return found

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """What changes there."""
        return self.reached.state(core)

    def core(self) -> int | None:
        """The core that runners with one thread are pinned to."""
        return self.reached.core()

    def now(self) -> float:
        """The device's clock."""
        return self.reached.now()

    def run(self, request: Mapping[str, Json]) -> Mapping[str, Json]:
        """Run one request to its end; raises what :meth:`Transport.run` raises."""
        return self.reached.run(request)

    def open(self, request: Mapping[str, Json]) -> RunnerSession:
        """Start a runner that keeps the request's models loaded."""
        return self.reached.open(request)

    def close(self) -> None:
        """End the connection; a second time does nothing."""
        self.reached.close()
