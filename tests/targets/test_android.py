"""What an Android device is, read from what its programs print, and what of it spoils a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from adb_daemon import AdbDaemon, adb_server, attached, needs_adb
from android_outputs import NOUGAT, TIRAMISU

from edgekit.targets.devices import warnings
from edgekit.targets.devices.remote import android
from edgekit.targets.devices.transports import adb

CPU = "/sys/devices/system/cpu/cpu"
LINES = f"""{CPU}0/cpufreq/cpuinfo_min_freq\t300000
{CPU}0/cpufreq/cpuinfo_max_freq\t1803000
{CPU}0/cpufreq/scaling_governor\tsched_pixel
{CPU}0/online\t1
{CPU}7/cpufreq/cpuinfo_min_freq\t500000
{CPU}7/cpufreq/cpuinfo_max_freq\t2850000
{CPU}7/cpufreq/scaling_governor\tpowersave
{CPU}7/online\t1
/proc/sys/kernel/osrelease\t5.10.149-android13
/../../escaped\t1
edgekit-section /proc/meminfo
MemTotal:        7774904 kB
MemFree:          321004 kB
edgekit-section uname
Linux aarch64
edgekit-section getprop
[ro.product.model]: [Planted 7]
"""


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
                "model": "Planted Note 4 [x]", "manufacturer": "Planted", "soc": "msm8953",
                "abi": "arm64-v8a", "android": "7.1.2", "os": "Android 7.1.2",
                "battery_percent": 11, "battery_status": "discharging",
                "battery_temperature_c": 31.2, "screen": "off", "power_save": True,
            },
            ("thermal_status",),
        ),
        (
            TIRAMISU,
            {
                "model": "Planted 7", "soc": "PS201", "os": "Android 13", "battery_percent": 83,
                "battery_status": "charging", "battery_temperature_c": 28.9, "screen": "on",
                "power_save": False, "thermal_status": "moderate",
            },
            (),
        ),
    ],
    ids=["Android 7", "Android 13"],
)  # fmt: skip
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
    found = android.read(LINES)
    expected = {
        "cpus": 2, "frequency_minimum_hz": 300_000_000, "frequency_maximum_hz": 2_850_000_000,
        "governor": "powersave, sched_pixel", "memory_bytes": 7774904 * 1024,
        "kernel": "5.10.149-android13", "machine": "aarch64", "model": "Planted 7",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert "cpu" in found["unavailable"]


def test_what_says_nothing_is_no_fact() -> None:
    found = android.read("")
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
