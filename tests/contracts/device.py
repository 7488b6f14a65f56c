"""What every way to reach a device keeps to: facts, requests, sessions, crashes and limits."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.contracts.runner import Bench
from edgekit.errors import DeviceError, DeviceNameError, ExitCode, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices import (
    RunnerSession,
    Transport,
    Workplace,
    open_device,
    parse,
)
from edgekit.targets.runners import RUNNER_FILES
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Request

# A runner that does ``action`` on every request, or session line of the number ``at``, before it
# would answer. It needs nothing but Python.
PLANTED = """
import ctypes, json, os, subprocess, sys, time
from pathlib import Path

def answer(request):
    told = {{"load_ns": 1, "first_ns": 1, "batch": 1, "processes": 1, "items": 1, "seconds": 0.0}}
    told["memory"] = {{"peak_bytes": None, "baseline_bytes": None}}
    models = {{one["id"]: told for one in request.get("models", ())}}
    return {{"runtime": "planted", "version": "1", "models": models, "ns": [1]}}

def planted(request):
    {action}
    return answer(request)

if sys.argv[1:] == ["--serve"]:
    for number, line in enumerate(sys.stdin):
        act = planted if number == {at} else answer
        print(json.dumps(act(json.loads(line))), flush=True)
else:
    Path(sys.argv[2]).write_text(json.dumps(planted(json.loads(Path(sys.argv[1]).read_text()))))
"""
NOTHING = "pass"
CRASH = "ctypes.string_at(0)"
HANG = "time.sleep(60)"
CHILD = "subprocess.run([sys.executable, '-c', {code!r}])"
ALLOCATE = "held = bytearray(300_000_000); held[::4096] = b'x' * len(held[::4096])"
HOLD = f"{ALLOCATE}; time.sleep(60)"
HANG_IN_CHILD = CHILD.format(code="import time; time.sleep(60)")
HOLD_IN_CHILD = CHILD.format(code=f"import time; {HOLD}")
MISSING = """return {
        "schema": 1, "models": {},
        "error": {"kind": "runtime-missing", "message": "planted: install it"},
    }"""
SECONDS, BYTES = 1.0, 200_000_000
# What ending a runner may take beyond its limit.
GRACE = 40.0
Start = Callable[[Transport, Request], object]


class DeviceContract:
    """Subclass it and define ``address``; ``runtime`` is one that the device has.

    Where no name opens the device, or reaching it anew for every test takes long, define
    ``transport`` instead, or as well.
    Override ``doubler`` where that runtime takes another kind of model, and set ``plants`` to
    ``False`` where the device runs no runners of Python, so that none can be planted.
    """

    runtime = "litert"
    plants = True

    def address(self, folder: Path) -> str:
        """What ``--device`` says to reach it; ``folder``, on this host, may be used for it."""
        pytest.skip("no address is defined: no name opens this device")

    def transport(
        self, folder: Path, limits: Limits | None, runners: Mapping[str, Path]
    ) -> Transport:
        """The device with these runners, by runtime; ``folder`` is to work in."""
        log = folder.with_name("log.txt")
        place = Workplace(folder, log, limits or Limits(), runners=runners)
        return open_device(parse(self.address(folder.parent)), place).reached

    @pytest.fixture
    def doubler(self, tmp_path: Path) -> Path:
        """A model that gives ``y = x + x`` for ``x``, float32 ``[1, 4]``."""
        path = tmp_path / "doubler.tflite"
        path.write_bytes(probe_model())
        return path

    @pytest.fixture
    def bench(self, doubler: Path, tmp_path: Path) -> Bench:
        return Bench(RUNNER_FILES[self.runtime], self.runtime, doubler, tmp_path)

    @pytest.fixture
    def device(self, tmp_path: Path) -> Iterator[Transport]:
        with contextlib.closing(self.transport(tmp_path / "work", None, RUNNER_FILES)) as device:
            yield device

    @pytest.fixture
    def session(self, device: Transport, bench: Bench) -> Iterator[RunnerSession]:
        with contextlib.closing(device.open(bench.asked("bench"))) as session:
            yield session

    def planted(
        self, folder: Path, action: str, limits: Limits | None = None, at: int = 0
    ) -> Transport:
        """The device whose runtime ``planted`` does ``action``."""
        if not self.plants:
            pytest.skip("this device runs no runners of Python: none can be planted")
        runner = folder / "planted_runner.py"
        runner.write_text(PLANTED.format(action=action, at=at))
        return self.transport(folder / "work", limits, {"planted": runner})

    def test_its_address_opens_it_with_a_runtime(self, tmp_path: Path, bench: Bench) -> None:
        name = parse(self.address(tmp_path))
        place = Workplace(tmp_path / "opened", tmp_path / "opened.txt")
        with contextlib.closing(open_device(name, place)) as device:
            assert (device.name, device.runtime) == (name.text, self.runtime)
            assert device.version
            assert device.run(bench.asked("evaluate"))["models"]["doubler"]["items"] == 7

    def test_address_that_is_malformed_is_refused_before_anything_is_reached(
        self, tmp_path: Path
    ) -> None:
        name = parse(self.address(tmp_path))
        if not name.address:
            pytest.skip("it has no address")
        with pytest.raises(DeviceNameError):
            parse(f"{name.transport}:// \n")

    def test_facts_say_what_the_machine_is(self, device: Transport) -> None:
        facts = device.facts()
        assert facts["system"]
        assert facts["machine"]
        assert facts["cpus"] > 0
        json.dumps(facts)

    def test_state_has_a_clock_that_goes_forward(self, device: Transport) -> None:
        states = [device.state(device.core()) for _ in range(2)]
        assert states[0]["at"] <= states[1]["at"]
        assert "unavailable" in states[0]
        json.dumps(states)
        assert device.now() <= device.now()

    def test_core_is_one_that_runners_can_be_kept_on(self, device: Transport, bench: Bench) -> None:
        stop = {"blocks": 1, "seconds": 0.0, "runs": 1}
        core = device.core()
        assert device.run(bench.asked("bench", stop=stop, core=core))["models"]

    def test_device_that_was_closed_can_be_closed_again(self, device: Transport) -> None:
        device.close()
        device.close()

    def test_run_evaluates_into_the_folder_of_the_request(
        self, device: Transport, bench: Bench
    ) -> None:
        result = device.run(bench.asked("evaluate"))
        assert (result["runtime"], result["models"]["doubler"]["items"]) == (self.runtime, 7)
        assert result["version"]
        assert np.array_equal(np.load(bench.outputs / "y.npy"), 2 * bench.x)

    def test_run_times(self, device: Transport, bench: Bench) -> None:
        stop, warmup = {"blocks": 2, "seconds": 0.0, "runs": 3}, {"seconds": 0.0, "runs": 1}
        result = device.run(bench.asked("bench", stop=stop, warmup=warmup))
        assert [len(block) for block in result["models"]["doubler"]["blocks_ns"]] == [3, 3]

    @pytest.mark.parametrize(("wrong", "passed"), [(0.0, True), (0.25, False)])
    def test_run_tests_a_model_against_its_golden_outputs(
        self, device: Transport, bench: Bench, wrong: float, passed: bool
    ) -> None:
        expected = 2 * bench.x + np.float32(wrong)
        result = device.run(bench.asked("selftest", golden=bench.golden(expected)))
        assert result["models"]["doubler"]["passed"] is passed

    def test_session_times_blocks_and_goes_on_after_one_that_is_wrong(
        self, session: RunnerSession
    ) -> None:
        assert session.ready()["models"]["doubler"]["first_ns"] > 0
        assert len(session.block("doubler", 0.0, 5)) == 5
        with pytest.raises(RunnerError) as caught:
            session.block("unknown", 0.0, 1)
        assert caught.value.code == "EK-RUNNER-002"
        assert len(session.block("doubler", 0.0, 2)) == 2
        session.close()
        session.close()

    def test_sessions_take_turns(self, device: Transport, bench: Bench) -> None:
        with contextlib.ExitStack() as stack:
            pair = [device.open(bench.asked("bench")) for _ in range(2)]
            for session in pair:
                stack.callback(session.close)
            for session in pair:
                session.ready()
            for session in [*pair, *reversed(pair)]:
                assert len(session.block("doubler", 0.0, 1)) == 1

    @pytest.mark.parametrize("how", ["run", "open"])
    def test_model_that_the_runtime_refuses_is_an_error_with_its_reason(
        self, device: Transport, bench: Bench, how: str
    ) -> None:
        bench.model = bench.folder / "damaged.tflite"
        bench.model.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(60))
        mode = "evaluate" if how == "run" else "bench"
        with pytest.raises(RunnerError) as caught:
            STARTS[how](device, bench.asked(mode))
        assert caught.value.code == "EK-RUNNER-002"
        assert caught.value.exit_code == ExitCode.INCOMPATIBLE
        assert "doubler" in caught.value.message
        assert caught.value.hint
        assert caught.value.item is None

    @pytest.mark.parametrize("how", ["run", "open"])
    def test_runtime_that_is_missing_is_a_device_error_with_its_reason(
        self, tmp_path: Path, bench: Bench, how: str
    ) -> None:
        with pytest.raises(DeviceError) as caught:
            STARTS[how](self.planted(tmp_path, MISSING), asked(bench))
        assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-002", 3)
        assert "planted: install it" in caught.value.hint

    @pytest.mark.parametrize("how", ["run", "open"])
    def test_runtime_without_a_runner_is_a_device_error(
        self, tmp_path: Path, bench: Bench, how: str
    ) -> None:
        with pytest.raises(DeviceError) as caught:
            STARTS[how](self.planted(tmp_path, NOTHING), bench.asked("evaluate"))
        assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-001", 3)

    def test_crash_is_an_error_that_names_the_model_and_the_item(
        self, tmp_path: Path, bench: Bench
    ) -> None:
        with pytest.raises(RunnerError) as caught:
            self.planted(tmp_path, CRASH).run(asked(bench))
        assert (caught.value.code, caught.value.item) == ("EK-RUNNER-001", 0)
        assert "SIGSEGV on doubler at the first item" in caught.value.message

    @pytest.mark.parametrize("at", [0, 1])
    def test_crash_of_a_session_is_an_error(self, tmp_path: Path, bench: Bench, at: int) -> None:
        with pytest.raises(RunnerError) as caught:
            STARTS["open"](self.planted(tmp_path, CRASH, at=at), asked(bench))
        assert caught.value.code == "EK-RUNNER-001"
        assert "SIGSEGV on doubler" in caught.value.message

    @pytest.mark.parametrize("how", ["run", "open"])
    @pytest.mark.parametrize(
        ("action", "limits", "code"),
        [
            (HANG, Limits(seconds=SECONDS), "EK-RUNNER-003"),
            (HANG_IN_CHILD, Limits(seconds=SECONDS), "EK-RUNNER-003"),
            (HOLD, Limits(bytes=BYTES), "EK-RUNNER-004"),
            (HOLD_IN_CHILD, Limits(bytes=BYTES), "EK-RUNNER-004"),
        ],
        ids=["hang", "hang in a child", "memory", "memory in a child"],
    )
    def test_limits_end_a_runner_and_what_it_started(
        self, tmp_path: Path, bench: Bench, how: str, action: str, limits: Limits, code: str
    ) -> None:
        request = replace(asked(bench), mode="selftest")
        begin = time.monotonic()
        with pytest.raises(RunnerError) as caught:
            STARTS[how](self.planted(tmp_path, action, limits), request)
        assert time.monotonic() - begin < SECONDS + GRACE
        assert caught.value.code == code
        assert "doubler" in caught.value.message
        assert "[limits]" in caught.value.hint

    def test_limits_that_are_kept_change_nothing(self, tmp_path: Path, bench: Bench) -> None:
        limits = Limits(seconds=60, bytes=4_000_000_000)
        assert self.planted(tmp_path, NOTHING, limits).run(asked(bench))["runtime"] == "planted"


def asked(bench: Bench) -> Request:
    """A request to evaluate with the planted runner."""
    return bench.asked("evaluate", runtime="planted")


def _block(device: Transport, request: Request) -> object:
    with contextlib.closing(device.open(request)) as session:
        session.ready()
        return session.block("doubler", 0.0, 1)


STARTS: Mapping[str, Start] = {
    "run": lambda device, request: device.run(request),
    "open": _block,
}
