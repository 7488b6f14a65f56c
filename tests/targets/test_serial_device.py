"""A microcontroller on a serial port: the firmware's own C protocol, and TFLM, at a terminal."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import FIRMWARE, PLANTS, Noise, compile_c
from serial_boards import ITEMS, Make, dense, opened
from tflite_files import G, N, T, build, remembering

from conftest import once
from edgekit.contracts.device import DeviceContract
from edgekit.contracts.runner import typed
from edgekit.errors import ConnectionLost, DeviceError, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.microcontroller import board as boards_end
from edgekit.targets.devices.microcontroller import link as links
from edgekit.targets.devices.proof import prove
from edgekit.targets.runners.probe import probe_model

pytest_plugins = ["serial_boards"]
pytestmark = pytest.mark.usefixtures("short_looks")


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    """A request to evaluate the int8 network on some items."""
    model = tmp_path / "dense.tflite"
    model.write_bytes(dense())
    x = np.random.default_rng(3).uniform(-60, 60, (ITEMS, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return {
        "schema": 1,
        "mode": "evaluate",
        "runtime": "tflm",
        "inputs": {"x": str(tmp_path / "x.npy")},
        "models": [{"id": "dense", "path": str(model), "outputs": str(tmp_path / "outputs")}],
        "preprocess": {"scale": 1.0, "offset": 0.0},
    }


@pytest.fixture(scope="session")
def expected(shared: Path) -> Path:
    """What the runner ``tflm`` answers to the items of ``asked``."""

    def run(folder: Path) -> None:
        (folder / "dense.tflite").write_bytes(dense())
        x = np.random.default_rng(3).uniform(-60, 60, (ITEMS, 4)).astype(np.float32)
        np.save(folder / "x.npy", x)
        request = {
            "schema": 1,
            "mode": "evaluate",
            "runtime": "tflm",
            "models": [
                {"id": "dense", "path": str(folder / "dense.tflite"), "outputs": str(folder)}
            ],
            "inputs": {"x": str(folder / "x.npy")},
        }
        open_device(parse("tflm"), Workplace(folder, folder / "log.txt")).run(typed(request))

    return once(shared / "serial-expected", run)


def answers(asked: Mapping[str, Any]) -> Any:
    return np.load(Path(asked["models"][0]["outputs"]) / "y.npy")


class TestSerial(DeviceContract):
    """A board that takes models."""

    runtime = "tflm"
    plants = False

    @pytest.fixture(autouse=True)
    def _board(self, make: Make) -> None:
        self.board = make(space=4096)

    def address(self, folder: Path) -> str:
        for one in (folder / "work", folder / "opened"):
            one.mkdir(parents=True, exist_ok=True)
        return self.board.address


# Evaluations.


FAULTS: Mapping[str, Mapping[str, Any]] = {
    "a good line": {},
    "echo": {"echo": True},
    "CR LF": {"to_host": lambda content: content.replace(b"\n", b"\r\n")},
    "flipped bits": {"to_host": Noise(flip=8e-4), "to_board": Noise(flip=8e-4, seed=2)},
    "dropped bytes": {"to_host": Noise(drop=3e-4), "to_board": Noise(drop=3e-4, seed=2)},
    "inserted bytes": {"to_host": Noise(insert=8e-4), "to_board": Noise(insert=8e-4, seed=2)},
    "all noise and echo": {
        "to_host": Noise(2e-4, 2e-4, 2e-4),
        "to_board": Noise(2e-4, 2e-4, 2e-4, 2),
        "echo": True,
    },
    "messages of TFLM": {"to_host": lambda content: content.replace(b"\n", b"\nMicroPrintf\n")},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_answers_equal_the_tflm_runner_to_the_bit(
    make: Make, asked: dict[str, Any], expected: Path, fault: str
) -> None:
    board = make(**FAULTS[fault])
    with opened(board) as device:
        result = device.run(typed(asked))
    assert result["models"]["dense"]["items"] == ITEMS
    assert np.array_equal(answers(asked), np.load(expected / "y.npy"))
    noisy = any(isinstance(value, Noise) for value in FAULTS[fault].values())
    assert (result["link"]["resent"] > 0) == noisy
    # A command that was sent twice is obeyed once: no item ran more often than it was asked for.
    assert len(board.backend.items) == ITEMS


# The lines of `asked`: hello, ticks three times, open, two tensors, then set, invoke and get.
@pytest.mark.parametrize("event", ["reset", "unplug"])
@pytest.mark.parametrize(
    "at", [2, 5, 9, *(pytest.param(at, marks=pytest.mark.slow) for at in (3, 4, 7, 8, 10, 24, 43))]
)
def test_board_that_goes_in_mid_run_goes_on_at_its_item(
    make: Make, asked: dict[str, Any], expected: Path, event: str, at: int
) -> None:
    board = make(events={at: event})
    with opened(board) as device:
        result = device.run(typed(asked))
    assert board.boots == 2
    assert np.array_equal(answers(asked), np.load(expected / "y.npy"))
    # One item may have been computed whose answer was lost.
    assert ITEMS <= len(board.backend.items) <= ITEMS + 1
    assert result["models"]["dense"]["restarts"] == (0 if at < 5 else 1)


def test_item_that_crashes_the_firmware_is_named(make: Make, asked: dict[str, Any]) -> None:
    fifth = np.load(asked["inputs"]["x"])[4]
    board = make(crashes=lambda item: item[0, 0] == np.rint(fifth[0] / 0.5) - 1)
    with opened(board) as device, pytest.raises(RunnerError) as caught:
        device.run(typed(asked))
    assert (caught.value.code, caught.value.item) == ("EK-RUNNER-001", 4)
    assert board.boots == 4


def test_board_that_restarts_too_often_is_given_up(make: Make, asked: dict[str, Any]) -> None:
    x = np.random.default_rng(3).uniform(-60, 60, (40, 4)).astype(np.float32)
    np.save(asked["inputs"]["x"], x)
    # Every item crashes it once.
    seen: set[bytes] = set()
    crash = lambda item: item.tobytes() not in seen and not seen.add(item.tobytes())  # noqa: E731
    with opened(make(crashes=crash)) as device, pytest.raises(ConnectionLost) as caught:
        device.run(typed(asked))
    assert caught.value.code == "EK-DEVICE-086"


@pytest.mark.parametrize(
    ("reset", "expected"),
    [(False, [100, 210, 321, 432, 543, 654]), (True, [100, 200, 300, 400, 500, 600])],
)
def test_state_is_right_on_a_board_that_began_anew(
    make: Make, asked: dict[str, Any], tmp_path: Path, reset: bool, expected: list[float]
) -> None:
    """Where answers depend on those before, what ran since the start is run again."""
    (tmp_path / "m.tflite").write_bytes(remembering())
    np.save(tmp_path / "x.npy", np.arange(1, 7, dtype=np.float32).reshape(6, 1))
    asked["models"][0]["path"] = str(tmp_path / "m.tflite")
    board = make(model=remembering(), stateful=True, events={18: "reset"})
    with opened(board) as device:
        result = device.run(typed({**asked, "reset_state": reset}))
    assert board.boots == 2
    assert result["models"]["dense"]["restarts"] == 1
    assert answers(asked)[:, 0].tolist() == expected


def test_tensors_of_many_lines_and_several_inputs_arrive_whole(
    make: Make, asked: dict[str, Any], tmp_path: Path
) -> None:
    shape, size = [1, 300], 300 * 4
    tensors = [T("late", shape), T("early", shape), T("difference", shape)]
    node = N("SUB", ["early", "late"], ["difference"], options={"kind": "SubOptions"})
    content = build(G(tensors, [node], ["late", "early"], ["difference"]))
    (tmp_path / "m.tflite").write_bytes(content)
    rng = np.random.default_rng(1)
    x = {name: rng.normal(size=(3, 300)).astype(np.float32) for name in ("early", "late")}
    for name, value in x.items():
        np.save(tmp_path / f"{name}.npy", value)
    asked["inputs"] = {name: str(tmp_path / f"{name}.npy") for name in x}
    asked["models"][0]["path"] = str(tmp_path / "m.tflite")
    assert size > 3 * 336
    board = make(model=content, to_host=Noise(flip=2e-4), to_board=Noise(flip=2e-4, seed=2))
    with opened(board) as device:
        device.run(typed(asked))
    found = np.load(tmp_path / "outputs" / "difference.npy")
    assert np.array_equal(found, x["early"] - x["late"])


@pytest.mark.parametrize("events", [{}, {12: "reset"}], ids=["a good line", "a reset"])
def test_model_is_sent_where_the_firmware_takes_one(
    make: Make, asked: dict[str, Any], expected: Path, events: Mapping[int, str]
) -> None:
    board = make(model=probe_model(), space=1024, events=events, to_board=Noise(flip=2e-4))
    with opened(board) as device:
        device.run(typed(asked))
    assert np.array_equal(answers(asked), np.load(expected / "y.npy"))


def test_index_and_range_choose_the_items(
    make: Make, asked: dict[str, Any], expected: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "index.npy", np.array([11, 3, 3, 7]))
    with opened(make()) as device:
        device.run(typed({**asked, "index": str(tmp_path / "index.npy"), "items": [1, 4]}))
    assert np.array_equal(answers(asked)[1:], np.load(expected / "y.npy")[[3, 3, 7]])


# Latency.


def test_times_are_the_board_s_own_ticks(make: Make, asked: dict[str, Any]) -> None:
    board = make(rate=10_000)
    with opened(board) as device:
        board.backend.before_invoke = lambda _: time.sleep(0.002)
        assert device.facts()["clock_resolution_ns"] == 100_000
        with contextlib.closing(device.open(typed({**asked, "mode": "bench"}))) as session:
            first = session.ready()["models"]["dense"]["first_ns"]
            timed = [first, *session.block("dense", 0.05, 3)]
    assert len(timed) >= 4
    assert all(one % 100_000 == 0 and one >= 1_900_000 for one in timed)


def test_restart_ends_a_session_and_the_next_one_begins(make: Make, asked: dict[str, Any]) -> None:
    asked["mode"] = "bench"
    board = make()
    with opened(board) as device:
        for _ in range(2):
            session = device.open(typed(asked))
            session.ready()
            assert len(session.block("dense", 0.0, 50)) == 50
            board.crashes = lambda _: True
            with pytest.raises(ConnectionLost):
                session.block("dense", 0.0, 1)
            board.crashes = lambda _: False
        # One restart while a request is timed: it begins again, whole.
        once_only = iter([True])
        board.crashes = lambda _: next(once_only, False)
        stop, warmup = {"blocks": 2, "seconds": 0.0, "runs": 3}, {"seconds": 0.0, "runs": 1}
        result = device.run(typed({**asked, "stop": stop, "warmup": warmup}))
    assert [len(block) for block in result["models"]["dense"]["blocks_ns"]] == [3, 3]


@pytest.mark.parametrize("stated", [300_000, 3_000_000])
def test_clock_that_is_not_what_the_firmware_says_is_refused(
    make: Make, stated: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards_end, "WATCHED", 0.25)
    with pytest.raises(DeviceError) as caught, opened(make(stated=stated)):
        pass
    assert caught.value.code == "EK-DEVICE-085"
    assert f"says {stated}" in caught.value.message


def test_inference_longer_than_the_counter_is_no_time(make: Make, asked: dict[str, Any]) -> None:
    """A counter of 4 GHz comes round after 1.07 s."""
    board = make(rate=4_000_000_000)
    with opened(board) as device:
        board.backend.before_invoke = lambda _: time.sleep(1.1)
        session = device.open(typed({**asked, "mode": "bench"}))
        with pytest.raises(DeviceError) as caught:
            session.ready()
    assert caught.value.code == "EK-DEVICE-085"
    assert "full after 1.07 s" in caught.value.hint


@pytest.mark.parametrize("settings", [{}, {"model": b"", "space": 1024}], ids=["own", "sent"])
def test_board_is_proven_by_the_model_that_it_has_or_takes(
    make: Make, tmp_path: Path, settings: Mapping[str, Any]
) -> None:
    board = make(**settings)
    with opened(board) as device:
        assert prove(device.reached, "tflm", tmp_path / "proof") == "tflm-test"
    assert len(board.backend.items) == 1


def test_board_that_cannot_run_its_model_is_not_proven(make: Make, tmp_path: Path) -> None:
    board = make(model=b"\x1c\x00\x00\x00TFL3" + bytes(60))
    with opened(board) as device, pytest.raises(RunnerError) as caught:
        prove(device.reached, "tflm", tmp_path / "proof")
    assert "the file has no graph" in caught.value.hint


# What cannot be.


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"batch": 4}, "batch of its file"),
        ({"threads": 2}, "one thread"),
        ({"threads": True}, "one thread"),
        ({"processes": 2}, "processes 2"),
        ({"signature": "infer"}, "TFLM runs the first graph"),
        ({"delegate": "xnnpack"}, "TFLM has none"),
        ({"mode": "arena"}, "of 262,144 bytes"),
        ({"mode": "trace"}, "mode 'trace'"),
        ({"arena_bytes": 4096}, "of 262,144 bytes"),
    ],
)
def test_request_that_a_microcontroller_cannot_do_is_refused_with_the_reason(
    make: Make, asked: dict[str, Any], changes: Mapping[str, Any], why: str
) -> None:
    with opened(make()) as device:
        for start in device.run, device.open:
            with pytest.raises(RunnerError) as caught:
                start(typed({**asked, **changes}))
            assert caught.value.code == "EK-RUNNER-002"
            assert why in caught.value.hint


@pytest.mark.parametrize("space", [0, 100])
def test_another_model_is_an_error_that_says_how_to_flash(
    make: Make, asked: dict[str, Any], space: int
) -> None:
    model = bytearray(dense())
    model[-1] ^= 1
    board = make(model=bytes(model), space=space)
    with opened(board) as device, pytest.raises(DeviceError) as caught:
        device.run(typed(asked))
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-084", 3)
    assert f"CRC-32 {zlib.crc32(model):08x}" in caught.value.message
    assert "flash" in caught.value.hint
    assert f"{space:,} bytes" in caught.value.hint


def test_input_of_another_name_is_refused(make: Make, asked: dict[str, Any]) -> None:
    asked["inputs"] = {"other": asked["inputs"]["x"]}
    with opened(make()) as device, pytest.raises(RunnerError) as caught:
        device.run(typed(asked))
    assert "inputs are ['x'], the request has ['other']" in caught.value.hint


@pytest.mark.parametrize("how", ["hang", "limit"])
def test_inference_that_takes_too_long_is_ended(
    make: Make, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(links, "PATIENCE", 0.5)
    board, over = make(), threading.Event()
    with opened(board, Limits(seconds=0.5) if how == "limit" else None) as device:
        board.backend.before_invoke = lambda _: over.wait(60)
        with pytest.raises(RunnerError) as caught:
            device.run(typed(asked))
        over.set()
    assert caught.value.code == "EK-RUNNER-003"
    assert "[limits]" in caught.value.hint


def test_line_that_is_too_bad_is_given_up(
    make: Make, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "SENDINGS", 4)
    with opened(board := make()) as device:
        board.to_host = Noise(flip=0.05)
        with pytest.raises(ConnectionLost) as caught:
            device.run(typed(asked))
    assert caught.value.code == "EK-DEVICE-086"
    assert "damaged" in caught.value.hint


def test_board_that_stays_away_is_lost(
    make: Make, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "AWAY", 0.3)
    board = make(events={20: "unplug"}, away=30.0)
    with opened(board) as device, pytest.raises(ConnectionLost) as caught:
        device.run(typed(asked))
    assert caught.value.code in ("EK-DEVICE-083", "EK-DEVICE-086")
    assert "there is no serial port" in caught.value.hint


def test_firmware_as_a_process_is_a_device(tmp_path: Path, asked: dict[str, Any]) -> None:
    sources = [FIRMWARE / "platform_posix.c", FIRMWARE / "edgekit_serial.c", PLANTS / "doubler.c"]
    program = compile_c(tmp_path / "firmware", "-O1", *sources)
    model = tmp_path / "doubler.tflite"
    model.write_bytes(probe_model())
    asked["models"][0]["path"] = str(model)
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        path = process.stdout.readline().strip()
        device = open_device(parse(f"serial://{path}"), Workplace(tmp_path, tmp_path / "log.txt"))
        assert device.facts()["estimates"] == "emulated (posix process)"
        device.run(typed(asked))
        device.close()
        process.kill()
    assert np.array_equal(answers(asked), 2 * np.load(asked["inputs"]["x"]))
