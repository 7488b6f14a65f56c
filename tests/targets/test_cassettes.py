"""Cassettes: what was measured once is found again without the device, and tells no secrets."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flatfiles
import numpy as np
import pytest
import shelf
from forking import heed_interrupts

from conftest import EDGEKIT, SURE_LAUNCHES, answer, once
from edgekit.contracts.runner import typed
from edgekit.errors import CassetteError, ConnectionLost, DeviceError, RunnerError
from edgekit.targets.devices import Device, DeviceBook, Listed, tape_of
from edgekit.targets.devices.cassette import schema
from edgekit.targets.devices.cassette.archive import read
from edgekit.targets.devices.cassette.redaction import Redactor
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Json, Request, RunnerResult

QUICK = ("--min-seconds", "0.02", "--max-seconds", "0.1", "--launches", "2", "--sustain", "1.1 s")
DEVICES = ("--device", "local", "--device", "local:reference")


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "bench": ("bench", "conv.tflite", *QUICK, "--no-calibrate", "--profile"),
    "evaluate": ("evaluate", "probe.tflite", "--data", "items.npz", "--metric", "accuracy"),
    "calibrated": ("bench", "conv.tflite", *DEVICES, *QUICK),
    "compare": ("compare", "probe.tflite", *DEVICES, "--data", "items.npz"),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("calibrated", "compare")]


def made(shared: Path, name: str) -> Path:
    """A folder with the record of a command, and what it found. Read only."""

    def make(folder: Path) -> None:
        (folder / "conv.tflite").write_bytes(flatfiles.convolutional())
        (folder / "probe.tflite").write_bytes(probe_model())
        np.savez(folder / "items.npz", x=np.eye(4, dtype=np.float32), y=np.array([0, 1, 2, 0]))
        done = answer(*COMMANDS[name], "--record", f"{name}.zip", "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.json").write_text(done.stdout)

    return once(shared / f"cassette-{name}", make)


@pytest.fixture
def recorded(shared: Path) -> Path:
    """The folder of the bench and of the evaluation. Read only."""

    def make(folder: Path) -> None:
        for name in ("bench", "evaluate"):
            shutil.copytree(made(shared, name), folder, dirs_exist_ok=True)

    return once(shared / "cassettes", make)


def without_run(text: str) -> Json:
    """A report without what names the run."""
    document = json.loads(text.replace(".part/", "/"))
    assert document.pop("run")
    return document


@pytest.mark.parametrize("name", ["bench", "evaluate", *SLOW])
def test_a_replay_finds_the_same_figures_and_starts_no_runner(
    shared: Path, tmp_path: Path, name: str
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a replay starts nothing")

    started = subprocess.Popen

    def reading(command: list[str], *given: Any, **more: Any) -> Any:
        """The user's items are read in a process of their own."""
        if "edgekit.isolated" not in str(command):
            forbidden()
        return started(command, *given, **more)

    # Its first import asks the processor what it can, in a process of its own.
    importlib.import_module("numpy.testing")
    words = (*COMMANDS[name], "--replay", f"{name}.zip", "--output", tmp_path, "--json")
    recorded = made(shared, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgekit.targets.devices.local.subprocess.Popen", reading)
        patch.setattr(socket.socket, "connect", forbidden)
        done = answer(*words, cwd=recorded)
    assert done.returncode == 0, done.stderr
    assert without_run(done.stdout) == without_run((recorded / f"{name}.json").read_text())


def test_a_replay_without_devices_takes_the_recorded_ones(recorded: Path, tmp_path: Path) -> None:
    words = ("evaluate", "probe.tflite", "--data", "items.npz", "--metric", "accuracy")
    path, place = tmp_path / "x.zip", ("--output", tmp_path)
    named = ("--device", "local:reference", "--record", path, *place)
    assert answer(*words, *named, cwd=recorded).returncode == 0
    done = answer(*words, "--replay", path, *place, "--json", cwd=recorded)
    assert [one["device"] for one in json.loads(done.stdout)["models"]] == ["local:reference"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("probe.tflite", *QUICK, "--no-calibrate"), "EK-DEVICE-092", "another model: sha256"),
        (
            ("conv.tflite", *QUICK, "--threads", "2", "--no-calibrate"),
            "EK-DEVICE-092",
            "threads is 2",
        ),
        (
            ("conv.tflite", *QUICK, "--batch", "2", "--no-calibrate"),
            "EK-DEVICE-092",
            "batch is 2, recorded with 1",
        ),
        (("conv.tflite", "--device", "tflm", *QUICK), "EK-DEVICE-093", "holds no tflm"),
    ],
)
def test_what_was_not_recorded_is_an_error_that_says_what(
    recorded: Path, tmp_path: Path, words: tuple[str, ...], code: str, said: str
) -> None:
    done = answer("bench", *words, "--replay", "bench.zip", "--output", tmp_path, cwd=recorded)
    assert done.returncode == 2
    assert code in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("fault", ["cut", "flipped", "text", "array", "newer", "absent"])
def test_a_damaged_cassette_is_refused(recorded: Path, tmp_path: Path, fault: str) -> None:
    path, content = tmp_path / "x.zip", (recorded / "evaluate.zip").read_bytes()
    if fault == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif fault == "flipped":
        middle = content.index(b"cassette.json") + 400
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    elif fault == "text":
        path.write_text("not a zip")
    elif fault in ("array", "newer"):
        with zipfile.ZipFile(recorded / "evaluate.zip") as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                held = old.read(name)
                if fault == "newer":
                    held = held.replace(b'"format": 2', b'"format": 99')
                elif name.endswith(".npy"):
                    held = held[:-1] + bytes([held[-1] ^ 1])
                new.writestr(name, held)
    words = (*COMMANDS["evaluate"], "--replay", path, "--output", tmp_path)
    done = answer(*words, cwd=recorded)
    assert done.returncode == 2
    assert "EK-DEVICE-091" in done.stderr


def test_an_older_cassette_of_an_emulated_device_still_says_that_its_times_are_estimates(
    recorded: Path,
) -> None:
    with zipfile.ZipFile(recorded / "evaluate.zip") as archive:
        document = json.loads(archive.read("cassette.json"))
    (track,) = document["devices"]
    document["format"] = 1
    del track["opens"][0]["device"]["declared"]
    track["opens"][0]["device"]["emulated"] = "the device book says so"
    track["facts"][0]["is"]["emulated"] = "QEMU"
    (read,) = schema.parse(json.dumps(document).encode())["devices"]
    assert read["opens"][0]["device"]["declared"] == "emulated (the device book says so)"
    assert read["facts"][0]["is"]["estimates"] == "emulated (QEMU)"


def test_a_model_that_a_session_never_loaded_is_refused(recorded: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(recorded / "bench.zip") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"load_ns"', b'"lost_ns"'))
    done = answer(*COMMANDS["bench"], "--replay", path, "--output", tmp_path, cwd=recorded)
    assert (done.returncode, "EK-DEVICE-091" in done.stderr) == (2, True), done.stderr


def test_record_and_replay_exclude_each_other(recorded: Path, tmp_path: Path) -> None:
    words = (*COMMANDS["evaluate"], "--replay", "evaluate.zip", "--record", tmp_path / "x.zip")
    done = answer(*words, "--output", tmp_path, cwd=recorded)
    assert done.returncode == 2
    assert "EK-DEVICE-094" in done.stderr


def test_models_and_items_are_not_in_it(recorded: Path) -> None:
    content = b"".join(parts(recorded / "evaluate.zip"))
    assert (recorded / "probe.tflite").read_bytes() not in content
    assert b"sha256:" in content
    assert str(recorded).encode() not in content


def parts(path: Path) -> list[bytes]:
    """What a zip holds, unpacked."""
    with zipfile.ZipFile(path) as archive:
        return [name.encode() + archive.read(name) for name in archive.namelist()]


SECRET = ("alice", "vault-42", "192.168.7.31", "/home/alice", "/srv/hidden", "SER1AL99", "s3cr3t")


class Telling:
    """A device whose answers hold secrets."""

    def facts(self) -> Mapping[str, Json]:
        return {
            "system": "Linux",
            "machine": "aarch64",
            "model": "Raspberry Pi 4 Model B",
            "hostname": "vault-42",
            "serial": "SER1AL99",
            "environment": "/home/alice/.cache/e",
            "note": ["alice@vault-42.lan", "192.168.7.31", "fe80::1ff:fe23:4567:890a"],
        }

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        return {"at": 1.0, "load1": 0.5, "unavailable": {"temperature_c": "no /home/alice/zone"}}

    def core(self) -> int | None:
        return 3

    def now(self) -> float:
        return time.monotonic()

    def run(self, request: Request) -> RunnerResult:
        message = f"crashed on {request.models[0].id}"
        raise RunnerError("EK-RUNNER-001", message, "see /srv/hidden/log on vault-42", 7)

    def open(self, request: Request) -> Any:
        raise ConnectionLost("EK-DEVICE-041", "192.168.7.31 went away", "ssh alice@192.168.7.31")

    def close(self) -> None:
        pass


NAMES = ("ssh://alice@192.168.7.31:2222/srv/hidden", "adb://SER1AL99", "mine")
ADDRESSES = {"mine": "ssh://alice@vault-42"}


def telling(folder: Path) -> Path:
    """The record of devices that hold secrets."""
    (folder / "m.tflite").write_bytes(probe_model())
    request = {
        "schema": 1,
        "mode": "evaluate",
        "inputs": {},
        "models": [
            {
                "id": "m on ssh://alice@192.168.7.31",
                "path": str(folder / "m.tflite"),
                "outputs": str(folder / "out"),
            }
        ],
    }
    book = DeviceBook({"mine": Listed("mine", "local", budgets=Listed("x").budgets)})
    with tape_of(folder / "x.zip", None, {str(folder): "<project>"}) as tape:
        tape.book(book)
        tape._expanded = NAMES  # type: ignore[attr-defined]  (no such scheme need be there)
        for name in NAMES:
            address = ADDRESSES.get(name, "")
            device = Device(name, "litert", "2.3.0", Telling(), "ssh", address)
            opened = tape.open(name, lambda device=device: device)  # type: ignore[misc]
            opened.facts()
            opened.state()
            opened.core()
            with pytest.raises(RunnerError):
                opened.run(typed(request))
            with pytest.raises(ConnectionLost):
                opened.open(typed(request))
        error = DeviceError("EK-DEVICE-042", "vault-42: permission denied (alice)", "s3cr3t?")
        with pytest.raises(DeviceError):
            tape.open("ssh://alice@vault-42", lambda: (_ for _ in ()).throw(error))
    return folder / "x.zip"


def test_secrets_are_not_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cr3t-token")
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("LOGNAME", "alice")
    held = b"".join(parts(telling(tmp_path)))
    for secret in SECRET[:-1]:
        assert secret.encode() not in held, secret
    for secret in ("s3cr3t-token", "API_TOKEN", str(tmp_path), "fe80::", socket.gethostname()):
        assert secret.encode() not in held, secret
    # What is not a secret stays readable.
    assert b"Raspberry Pi 4 Model B" in held


def test_the_recorded_errors_come_again_under_the_users_own_names(tmp_path: Path) -> None:
    path = telling(tmp_path)
    document = read(path).document
    assert document["expanded"] == ["ssh://user-1@host-1:2222/folder-1", "adb://serial-1", "mine"]
    with tape_of(None, path, {}) as tape:
        device = tape.open("adb://serial-1", lambda: pytest.fail("nothing is reached"))
        assert device.facts()["model"] == "Raspberry Pi 4 Model B"
        request = {
            "schema": 1,
            "mode": "evaluate",
            "runtime": "litert",
            "inputs": {},
            "models": [{"id": "another", "path": str(tmp_path / "m.tflite"), "outputs": "/x"}],
        }
        with pytest.raises(RunnerError) as caught:
            device.run(typed({k: v for k, v in request.items() if k != "runtime"}))
        assert (caught.value.code, caught.value.item) == ("EK-RUNNER-001", 7)
        with pytest.raises(ConnectionLost):
            device.open(typed(request))
        with pytest.raises(CassetteError, match="not asked for so often"):
            device.facts()


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("ssh://pi@raspberrypi.local:22/work/dir#litert", "ssh://user-1@host-1:22/folder-1#litert"),
        ("ssh://raspberrypi", "ssh://host-1"),
        ("ssh://root@localhost", "ssh://root@localhost"),
        ("adb://4f2a81", "adb://serial-1"),
        ("adb://10.0.0.7:5555", "adb://host-1:5555"),
        ("serial:///dev/serial/by-id/usb-SER1AL", "serial:///port-1"),
        ("emulator://arm64", "emulator://arm64"),
        ("local:tflite-runtime==2.14.0", "local:tflite-runtime==2.14.0"),
    ],
)
def test_an_address_keeps_its_form(name: str, hidden: str) -> None:
    assert Redactor().address(name) == hidden


@pytest.mark.parametrize(
    "text",
    ["2.14.0", "0.dev20261023182759", "12:34:56", "6.1.0-rpi7", "std::vector", "a ratio of 1.2.3"],
)
def test_innocent_texts_stay(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.slow
def test_a_shelf_is_replayed_by_its_recorded_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.install(tmp_path / "shelf", monkeypatch)
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    (tmp_path / "config" / "edgekit").mkdir(parents=True)
    file = tmp_path / "config" / "edgekit" / "devices.toml"
    file.write_text(
        '[devices.lab]\nmembers = ["one", "two", "local"]\n[devices.two]\naddress = "shelf://dead"'
        '\nattempts = 2\n[devices.one]\naddress = "shelf://board1"\n'
        'budgets = { latency_p50 = "1 ns" }\n'
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    brief = (*QUICK[:-2], *SURE_LAUNCHES, "--no-calibrate", "--json")
    words = ("bench", "probe.tflite", "--device", "lab", *brief)
    done = answer(*words, "--record", "x.zip", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    first = json.loads(done.stdout)
    # Another machine: neither the book nor the board is there.
    file.unlink()
    (tmp_path / "shelf" / "seen" / "board1").unlink()
    again = answer(*words, "--replay", "x.zip", "--output", tmp_path / "out", cwd=tmp_path)
    assert again.returncode == 1, again.stderr
    second = json.loads(again.stdout)
    assert not (tmp_path / "shelf" / "seen" / "board1").exists()
    for one, other in zip(first["rows"], second["rows"], strict=True):
        hidden = {
            "address": other["address"],
            "place": other["place"],
            "problem": other["problem"],
            "attempts": other["attempts"],
        }
        for row in (one, other):
            row["facts"].pop("address", None)
        assert {**one, **hidden} == other
    assert second["rows"][1]["status"] == "unavailable"
    assert second["rows"][1]["attempts"]


def test_the_record_of_a_command_that_fails_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.install(tmp_path / "shelf", monkeypatch)
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    words = ("bench", "probe.tflite", "--device", "shelf://dead", "--no-calibrate")
    assert answer(*words, "--record", "x.zip", cwd=tmp_path).returncode == 3
    (tmp_path / "shelf" / "seen" / "dead").unlink()
    again = answer(*words, "--replay", "x.zip", cwd=tmp_path)
    assert again.returncode == 3
    assert "EK-DEVICE-040" in again.stderr
    assert not (tmp_path / "shelf" / "seen" / "dead").exists()


@pytest.mark.slow
def test_an_interrupted_command_leaves_no_half_record(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    process = subprocess.Popen(
        [
            EDGEKIT,
            "bench",
            "probe.tflite",
            "--no-calibrate",
            "--sustain",
            "60 s",
            "--record",
            "x.zip",
            *QUICK[:-2],
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        preexec_fn=heed_interrupts,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if " latency: " in line:
            break
    # Into the sustained run, which is most of what there is to interrupt.
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert [path.name for path in tmp_path.iterdir() if "x.zip" in path.name] == []


def test_a_pool_that_is_recorded_keeps_the_time_of_calls(recorded: Path) -> None:
    document = read(recorded / "bench.zip").document
    track = document["devices"][0]
    assert track["opens"][0]["device"]["runtime"] == "litert"
    assert all(event["seconds"] > 0 for event in track["sessions"][0]["events"])
    assert track["clock"] == sorted(track["clock"])
