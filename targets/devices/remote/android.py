"""What an Android phone is: its files as of any machine, and what its own programs tell besides.

Files tell little to adb's shell (``/proc/stat`` and some of ``/sys`` are closed since Android 8).
Sources: the Android Open Source Project's ``BatteryService.java``, ``PowerManagerService.java`` and
``ThermalManagerService.java`` (dump), ``BatteryManager.java`` and ``PowerManager.java`` (numbers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from edgekit.targets.devices.agent.machine import host_facts
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.remote import machine
from edgekit.targets.devices.remote.shell import Shell
from edgekit.targets.devices.transport import Forwarding, Transport
from edgekit.types import Json

# A machine that is not a phone has none but the first.
PROGRAMS = {
    "uname": "uname -sm",
    "getprop": "getprop",
    "battery": "dumpsys battery",
    "power": "dumpsys power | grep mWakefulness=",
    "thermal": "dumpsys thermalservice | grep 'Thermal Status'",
    "saver": "settings get global low_power",
}
KINDS = {1: "unknown", 2: "charging", 3: "discharging", 4: "not charging", 5: "full"}
THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


@dataclass(frozen=True)
class Phone(Forwarding):
    """``reached``, with the facts that ``connection`` is told of the phone around it."""

    reached: Transport
    connection: Connection

    def facts(self) -> Mapping[str, Json]:
        """Return what the device says of itself, and what Android says besides."""
        own, told = super().facts(), facts(self.connection)
        merged = {**told, **own}
        reasons = {**told["unavailable"], **own.get("unavailable", {})}
        merged["unavailable"] = {k: v for k, v in reasons.items() if k not in merged}
        return merged


def facts(connection: Connection) -> Mapping[str, Json]:
    """Return what the machine at the end of a connection is, as ``machine.host_facts`` says it.

    Of Android besides: ``manufacturer``, ``soc``, ``abi``, ``android``, ``battery_percent``,
    ``battery_status``, ``battery_temperature_c``, ``screen`` (``on``, ``off``, ``dozing``),
    ``power_save`` and ``thermal_status`` (``none`` to ``shutdown``). Raises :class:`DeviceError`
    where it is not reached.
    """
    files = machine.read(partial(_ask, connection), machine.FACTS, machine.FACT, PROGRAMS)
    return {**described(files), "address": connection.address}


def state(connection: Connection, core: int | None = None) -> Mapping[str, Json]:
    """Return ``temperature_c``, ``frequency_hz``, ``load1`` and ``at``, its uptime.

    Raises :class:`DeviceError` where it is not reached.
    """
    return machine.conditions(partial(_ask, connection), core)


def _ask(connection: Connection, script: str) -> bytes:
    return Shell(connection).run(script).out


def described(files: Mapping[str, bytes]) -> Mapping[str, Json]:
    """Make facts of a device's files and of what its programs print, by their names."""
    with machine.planted(files) as root:
        device_facts = dict(host_facts(root))
    sections = {name: files.get(name, b"").decode(errors="replace") for name in PROGRAMS}
    system, _, kind = sections["uname"].strip().partition(" ")
    device_facts |= {"system": system or "Linux", "machine": kind or "unknown"}
    if sections["getprop"].strip():
        device_facts |= _android(sections)
        known = {name for name in device_facts["unavailable"] if name in device_facts}
        device_facts["unavailable"] = {
            k: v for k, v in device_facts["unavailable"].items() if k not in known
        }
    return device_facts


def _android(sections: Mapping[str, str]) -> Mapping[str, Json]:
    """Return what Android's own programs say; what they do not is absent."""
    properties = dict(re.findall(r"^\[(.+?)\]: \[(.*)\]$", sections["getprop"], re.MULTILINE))

    def first(*names: str) -> str | None:
        return next((properties[name] for name in names if properties.get(name)), None)

    release = first("ro.build.version.release")
    told = {
        "model": first("ro.product.model"),
        "manufacturer": first("ro.product.manufacturer"),
        # ro.soc.model is there from Android 12 on; before, the board's platform comes closest.
        "soc": first("ro.soc.model", "ro.board.platform", "ro.hardware"),
        "abi": first("ro.product.cpu.abi"),
        "android": release,
        "os": f"Android {release}" if release else None,
        **{name: read(sections) for name, read in _TOLD.items()},
    }
    return {name: value for name, value in told.items() if value is not None}


def _number(section: str, name: str) -> Callable[[Mapping[str, str]], int | None]:
    def read(sections: Mapping[str, str]) -> int | None:
        pattern = rf"^\s*{name}\s*:\s*(-?\d+)\s*$"
        found = re.search(pattern, sections.get(section, ""), re.MULTILINE)
        return int(found[1]) if found else None

    return read


def _tenths(sections: Mapping[str, str]) -> float | None:
    found = _number("battery", "temperature")(sections)
    return None if found is None else found / 10


def _status(sections: Mapping[str, str]) -> str | None:
    return KINDS.get(_number("battery", "status")(sections) or 0)


def _screen(sections: Mapping[str, str]) -> str | None:
    found = re.search(r"mWakefulness=(\w+)", sections.get("power", ""))
    awake = {"Awake": "on", "Dreaming": "on", "Dozing": "dozing", "Asleep": "off"}
    return awake.get(found[1]) if found else None


def _power_save(sections: Mapping[str, str]) -> bool | None:
    told = sections.get("saver", "").strip()
    return told == "1" if told in ("0", "1") else None


def _thermal(sections: Mapping[str, str]) -> str | None:
    level = _number("thermal", "Thermal Status")(sections)
    return THERMAL[level] if level is not None and level < len(THERMAL) else None


_TOLD: Mapping[str, Callable[[Mapping[str, str]], Json]] = {
    "battery_percent": _number("battery", "level"),
    "battery_status": _status,
    "battery_temperature_c": _tenths,
    "screen": _screen,
    "power_save": _power_save,
    "thermal_status": _thermal,
}
