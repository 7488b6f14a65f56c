"""A native runner that stays alive, so that several models can take turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edgekit.targets.devices.remote.native_answers import Loaded, phases, refusal
from edgekit.targets.devices.remote.native_process import NativeProcess
from edgekit.targets.runners.python_runner import STAGED
from edgekit.types import Json


class Host(Protocol):
    """The device that a session is of."""

    def load(
        self, process: NativeProcess, request: Mapping[str, Json], number: int, most: int | None
    ) -> Loaded: ...
    def result(
        self, request: Mapping[str, Json], models: Mapping[str, Json]
    ) -> Mapping[str, Json]: ...
    def end(self, process: NativeProcess) -> None: ...


class NativeSession:
    """A native runner that keeps models loaded, so that several can take turns."""

    def __init__(self, device: Host, request: Mapping[str, Json], process: NativeProcess) -> None:
        self._device, self._request, self._process = device, request, process
        self._numbers = {str(e["id"]): at for at, e in enumerate(request["models"])}
        self._items: dict[str, int] = {}
        self._limited = True

    def ready(self, limited: bool = True) -> Mapping[str, Json]:
        """Wait until the models are loaded; load and first-inference phases, memory, versions.

        Where it is not ``limited``, the limit of time is one of all answers together.
        """
        self._limited = limited
        self._process.start()
        if self._request.get("core") is not None:
            self._process.ask(f"core {self._request['core']}")
        models = {}
        for name, number in self._numbers.items():
            loaded = self._device.load(self._process, self._request, number, STAGED)
            self._items[name] = len(loaded.items)
            models[name] = phases(loaded)
        return self._device.result(self._request, models)

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Nanoseconds of consecutive inferences: at least ``runs`` and at least ``seconds``."""
        if model not in self._items:
            raise refusal(self._request, f"there is no model {model!r}")
        if self._limited:
            self._process.restart_clock()
        command = f"time {self._numbers[model]} 0 {self._items[model]} {seconds} {runs}"
        return [int(word) for word in self._process.ask(command)[-1].split()[1:]]

    def close(self) -> None:
        """End the runner."""
        self._device.end(self._process)
