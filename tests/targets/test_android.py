"""What an Android device is, read from what its programs print, and what of it spoils a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from adb_daemon import AdbDaemon, adb_server, attached, needs_adb
from android_outputs import NOUGAT, TIRAMISU

from edgekit.targets.devices import warnings
from edgekit.targets.devices.remote import android, machine
from edgekit.targets.devices.transports import adb

CPU = "/sys/devices/system/cpu/cpu"
FILES = {
    f"{CPU}0/cpufreq/cpuinfo_min_freq": b"300000",
    f"{CPU}0/cpufreq/cpuinfo_max_freq": b"1803000",
    f"{CPU}0/cpufreq/scaling_governor": b"sched_pixel",
    f"{CPU}0/online": b"1",
    f"{CPU}7/cpufreq/cpuinfo_min_freq": b"500000",
    f"{CPU}7/cpufreq/cpuinfo_max_freq": b"2850000",
    f"{CPU}7/cpufreq/scaling_governor": b"powersave",
    f"{CPU}7/online": b"1",
    "/proc/sys/kernel/osrelease": b"5.10.149-android13",
    "/proc/meminfo": b"MemTotal:        7774904 kB\nMemFree:          321004 kB\n",
    "uname": b"Linux aarch64\n",
    "getprop": b"[ro.product.model]: [Planted 7]\n",
}


def install(phone: AdbDaemon, outputs: Mapping[str, str]) -> None:
    """Give a phone the programs that print these outputs."""
    phone.tools.mkdir(parents=True, exist_ok=True)
    for name, text in outputs.items():
        (phone.tools / f"{name}.txt").write_text(text)
    shown = f'cat "{phone.tools}/$1.txt" 2>/dev/null || echo "Can\'t find service: $1"'
    phone.install("getprop", f"#!/bin/sh\ncat {phone.tools}/getprop.txt\n")
    phone.install("dumpsys", f"#!/bin/sh\n{shown}\n")
    phone.install("settings", f"#!/bin/sh\ncat {phone.tools}/settings.txt\n")


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[AdbDaemon]:
    with adb_server(tmp_path / "adb"), attached(tmp_path) as phone:
        yield phone


@needs_adb
@pytest.mark.parametrize(
    ("outputs", "expected", "absent"),
    [
        (
            NOUGAT,
            {
                "model": "Planted Note 4 [x]",
                "manufacturer": "Planted",
                "soc": "msm8953",
                "abi": "arm64-v8a",
                "android": "7.1.2",
                "os": "Android 7.1.2",
                "battery_percent": 11,
                "battery_status": "discharging",
                "battery_temperature_c": 31.2,
                "screen": "off",
                "power_save": True,
            },
            ("thermal_status",),
        ),
        (
            TIRAMISU,
            {
                "model": "Planted 7",
                "soc": "PS201",
                "os": "Android 13",
                "battery_percent": 83,
                "battery_status": "charging",
                "battery_temperature_c": 28.9,
                "screen": "on",
                "power_save": False,
                "thermal_status": "moderate",
            },
            (),
        ),
    ],
    ids=["Android 7", "Android 13"],
)
def test_facts_of_a_phone_are_read_through_adb(
    phone: AdbDaemon,
    outputs: Mapping[str, str],
    expected: Mapping[str, Any],
    absent: tuple[str, ...],
) -> None:
    install(phone, outputs)
    found = android.facts(adb.reached(f"adb://{phone.serial}"))
    assert {name: found[name] for name in expected} == expected
    assert not set(absent) & set(found)
    assert found["memory_bytes"] > 0
    assert found["cpus"] > 0
    assert not set(found) & set(found["unavailable"])


@needs_adb
def test_state_of_a_phone_is_read_through_adb(phone: AdbDaemon) -> None:
    connection = adb.reached(f"adb://{phone.serial}")
    before, after = android.state(connection), android.state(connection)
    assert 0 < before["at"] <= after["at"]
    assert before["load1"] >= 0


def test_facts_are_those_of_the_devices_own_files() -> None:
    found = android.described(FILES)
    expected = {
        "cpus": 2,
        "frequency_minimum_hz": 300_000_000,
        "frequency_maximum_hz": 2_850_000_000,
        "governor": "powersave, sched_pixel",
        "memory_bytes": 7774904 * 1024,
        "kernel": "5.10.149-android13",
        "machine": "aarch64",
        "model": "Planted 7",
    }
    assert {name: found[name] for name in expected} == expected
    assert "cpu" in found["unavailable"]


def test_file_that_a_device_names_is_never_written_elsewhere() -> None:
    with machine.planted({"/../../escaped": b"1", "/proc/uptime": b"3 4"}) as root:
        assert [path.name for path in root.rglob("*") if path.is_file()] == ["uptime"]
        assert not Path(root, "..", "..", "escaped").exists()


def test_what_says_nothing_is_no_fact() -> None:
    found = android.described({})
    assert set(found) == {"system", "machine", "unavailable"}


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"governor": "powersave"}, "powersave"),
        ({"governor": "powersave, schedutil"}, "powersave"),
        ({"screen": "off"}, "screen is off"),
        ({"screen": "dozing"}, "screen is dozing"),
        ({"power_save": True}, "saves power"),
        ({"battery_percent": 15, "battery_status": "discharging"}, "15 %"),
        ({"thermal_status": "severe"}, "severe"),
    ],
)
def test_facts_that_spoil_a_measurement_are_told(facts: Mapping[str, Any], word: str) -> None:
    (text,) = warnings.spoilers(facts)
    assert word in text


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"governor": "performance", "screen": "on", "power_save": False, "thermal_status": "none"},
        {"battery_percent": 15, "battery_status": "charging"},
        {"battery_percent": 16, "battery_status": "discharging"},
    ],
)
def test_facts_that_spoil_nothing_are_not(facts: Mapping[str, Any]) -> None:
    assert warnings.spoilers(facts) == ()


def test_state_comes_before_the_facts() -> None:
    assert warnings.spoilers({"screen": "off"}, {"screen": "on"}) == ()
