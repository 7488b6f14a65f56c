"""This host keeps the contract of devices, and the contract finds a device that does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.contracts.device import DeviceContract
from edgekit.contracts.runner import Bench
from edgekit.errors import RunnerError
from edgekit.process import Limits
from edgekit.targets.devices import Transport
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNER_FILES
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Json, ModelResult, Request, RunnerResult


class TestLocal(DeviceContract):
    """Runners as child processes."""

    device_class = LocalDevice

    def address(self, folder: Path) -> str:
        return "local:litert"

    def transport(
        self, folder: Path, limits: Limits | None, runners: Mapping[str, Path]
    ) -> Transport:
        return self.device_class(folder / "requests", folder.with_name("log.txt"), limits, runners)


class Nameless(LocalDevice):
    """Says not what machine it is."""

    def facts(self) -> Mapping[str, Json]:
        return {"system": "Linux", "machine": "", "cpus": 2}


class Swallowing(LocalDevice):
    """Takes a crash for an answer."""

    def run(self, request: Request) -> RunnerResult:
        try:
            return super().run(request)
        except RunnerError:
            return {"runtime": "", "version": "", "models": {}}


class Vague(LocalDevice):
    """Says not where a runner crashed."""

    def run(self, request: Request) -> RunnerResult:
        try:
            return super().run(request)
        except RunnerError as error:
            raise RunnerError(error.code, error.message, error.hint) from error


class Lying(LocalDevice):
    """Runs the first items only, and says it was all."""

    def run(self, request: Request) -> RunnerResult:
        result = super().run(replace(request, items=(0, 3)))
        model: ModelResult = {**result["models"]["doubler"], "items": 7}
        return {**result, "models": {"doubler": model}}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    model = tmp_path / "doubler.tflite"
    model.write_bytes(probe_model())
    return Bench(RUNNER_FILES["litert"], "litert", model, tmp_path)


@pytest.mark.parametrize(
    ("faulty", "check"),
    [
        (Nameless, "test_facts_say_what_the_machine_is"),
        (Lying, "test_run_evaluates_into_the_folder_of_the_request"),
        (Swallowing, "test_crash_is_an_error_that_names_the_model_and_the_item"),
        (Vague, "test_crash_is_an_error_that_names_the_model_and_the_item"),
    ],
)
def test_contract_goes_red_when_a_device_breaks_it(
    tmp_path: Path, bench: Bench, faulty: type[LocalDevice], check: str
) -> None:
    suite = TestLocal()
    suite.device_class = faulty
    device = suite.transport(tmp_path / "work", None, RUNNER_FILES)
    given: Mapping[str, list[object]] = {
        Nameless.__name__: [device],
        Lying.__name__: [device, bench],
    }
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(suite, check)(*given.get(faulty.__name__, [tmp_path, bench]))
