"""What a device is: its name, what opening it needs of the host, and the device once it is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.process import Limits
from edgekit.targets.devices.answers import check_state, check_values
from edgekit.targets.devices.transport import Forwarding, RunnerSession, Transport
from edgekit.targets.runners import RUNNER_FILES
from edgekit.types import Json, Progress, Request, RunnerResult, Silent

# The runtime of the C runner, which is not a Python file.
NATIVE = "native"


@dataclass(frozen=True)
class DeviceName:
    """A device as it was named: how it is reached, its runtime, and the release where one is named.

    ``transport`` is ``local`` or the scheme of an ``address``, which is empty for ``local``.
    ``runtime`` is empty where the device is to choose. ``package`` and ``version`` are those of
    ``PACKAGE==VERSION``, else empty.
    """

    text: str
    transport: str
    runtime: str
    package: str = ""
    version: str = ""
    address: str = ""


@dataclass(frozen=True)
class Workplace:
    """What opening a device needs of the host.

    Requests and the like lie in ``folder``, runners write to ``log``. ``benchmark_model`` is the
    path of the platform's own benchmark, where one is named; ``runners`` are the files of the
    runtimes.
    """

    folder: Path
    log: Path
    limits: Limits = field(default_factory=Limits)
    progress: Progress = field(default_factory=Silent)
    benchmark_model: str = ""
    runners: Mapping[str, Path] = field(default_factory=lambda: RUNNER_FILES)


@dataclass(frozen=True)
class Device(Forwarding):
    """What ``--device`` names: its name, the runtime and its version, and how it is reached.

    ``transport`` is as in its :class:`DeviceName`; ``address`` what the name stands for, where it
    is one of the user's own; ``declared`` why its times are estimates, where its user says so.
    """

    name: str
    runtime: str
    version: str
    reached: Transport
    transport: str = "local"
    address: str = ""
    declared: str = ""

    def facts(self) -> Mapping[str, Json]:
        """Return what the machine is, with the runtime."""
        declared = {"estimates": self.declared} if self.declared else {}
        about = {"runtime": self.runtime, "version": self.version}
        return {**declared, **self._valid(super().facts(), check_values), **about}

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """Return what changes there: temperature, frequency, load, counters."""
        return self._valid(super().state(core), check_state)

    def _valid(
        self, answer: Mapping[str, Json], check: Callable[[Mapping[str, Json]], None]
    ) -> Mapping[str, Json]:
        try:
            check(answer)
        except ValueError as error:
            message = f"{self.name} does not tell validly what it is"
            raise DeviceError("EK-DEVICE-095", message, str(error)) from error
        return answer

    def estimates(self) -> str:
        """Tell why times there are estimates; empty where they are measured."""
        return str(self.facts().get("estimates") or "")

    def run(self, request: Request) -> RunnerResult:
        """Run one request to its end; raises what :meth:`Transport.run` raises."""
        return super().run(replace(request, runtime=self.runtime))

    def open(self, request: Request) -> RunnerSession:
        """Start a runner that keeps the request's models loaded."""
        return super().open(replace(request, runtime=self.runtime))
