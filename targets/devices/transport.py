"""What every way to reach a device offers: its facts, one request, and a runner that stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edgekit.types import Json


class RunnerSession(Protocol):
    """A runner that keeps models loaded, so that several can take turns."""

    def ready(self) -> Mapping[str, Json]:
        """Wait until the models are loaded; load and first-inference phases, memory, versions.

        Raises :class:`DeviceError` where the runtime is missing, and :class:`RunnerError` where the
        runner refused a model, crashed, or broke its limits.
        """

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Nanoseconds of consecutive inferences: at least ``runs`` and at least ``seconds``.

        Raises :class:`RunnerError` as ``ready`` does; after a refusal the session goes on.
        """

    def close(self) -> None:
        """End the runner and all it started; a second time does nothing."""


class Transport(Protocol):
    """One place where runners run.

    Requests and results are as ``python_runner.py`` describes them. A new way to reach hardware is
    a class of this shape that passes ``edgekit.contracts.device``.
    """

    def facts(self) -> Mapping[str, Json]:
        """What the machine there is: at least ``system``, ``machine`` and ``cpus``."""

    def run(self, request: Mapping[str, Json]) -> Mapping[str, Json]:
        """Run one request to its end, within the limits; the runner's result.

        Raises :class:`DeviceError` where the runtime is missing, and :class:`RunnerError` where the
        runner refused the model, crashed on it (``item`` says where), or broke its limits.
        """

    def open(self, request: Mapping[str, Json]) -> RunnerSession:
        """Start a runner that keeps the request's models loaded."""
