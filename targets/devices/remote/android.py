"""What a machine behind a shell is, without Python there: Linux by its files, Android by its tools.

The files are brought here, so that they are read as on this host. Of Android they tell little to
adb's shell (``/proc/stat`` and some of ``/sys`` are closed since Android 8), so its programs are
asked too. Sources: the Android Open Source Project's ``BatteryService.java``,
``PowerManagerService.java`` and ``ThermalManagerService.java`` (dump), ``BatteryManager.java`` and
``PowerManager.java`` (numbers).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from edgekit.targets.devices.agent import machine
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.remote.shell import Shell
from edgekit.types import Json

CPUS = "/sys/devices/system/cpu/cpu[0-9]*"
SCALING = f"{CPUS}/cpufreq/scaling_cur_freq"
ZONES = "/sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp"
CHIPS = "/sys/class/hwmon/hwmon*/name /sys/class/hwmon/hwmon*/temp*_input"
FACTS = " ".join(
    (f"{CPUS}/cpufreq/cpuinfo_min_freq {CPUS}/cpufreq/cpuinfo_max_freq",
     f"{CPUS}/cpufreq/scaling_governor {CPUS}/online {CPUS}/topology/core_id",
     f"{CPUS}/topology/physical_package_id",
     "/proc/sys/kernel/osrelease /sys/class/dmi/id/product_name /proc/device-tree/model")
)  # fmt: skip
# A file of one line is read by the shell itself: a phone has hundreds, and a process takes 5 ms.
LINES = """
for file in {files}; do
    value=
    [ -f "$file" ] && IFS= read -r value < "$file"
    [ -n "$value" ] && printf '%s\\t%s\\n' "$file" "$value"
done 2>/dev/null
"""
WHOLE = """
for file in /proc/cpuinfo /proc/meminfo /etc/os-release; do
    [ -r "$file" ] && echo "{mark} $file" && cat "$file" && echo
done 2>/dev/null
"""
ASKED = """
echo "{mark} uname"; uname -sm
if command -v getprop > /dev/null; then
    echo "{mark} getprop"; getprop
    echo "{mark} battery"; dumpsys battery
    echo "{mark} power"; dumpsys power | grep mWakefulness=
    echo "{mark} thermal"; dumpsys thermalservice | grep 'Thermal Status'
    echo "{mark} saver"; settings get global low_power
fi 2>/dev/null
exit 0
"""
MARK = "edgekit-section"
# Programs of a phone that answer slowly while it wakes up.
PATIENCE = 60.0
KINDS = {1: "unknown", 2: "charging", 3: "discharging", 4: "not charging", 5: "full"}
THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


def facts(connection: Connection) -> Mapping[str, Json]:
    """What the machine at the end of a connection is, as ``machine.host_facts`` says it.

    Of Android besides: ``manufacturer``, ``soc``, ``abi``, ``android``, ``battery_percent``,
    ``battery_status``, ``battery_temperature_c``, ``screen`` (``on``, ``off``, ``dozing``),
    ``power_save`` and ``thermal_status`` (``none`` to ``shutdown``). Raises :class:`DeviceError`
    where it is not reached.
    """
    script = LINES.format(files=FACTS) + (WHOLE + ASKED).format(mark=MARK)
    said = Shell(connection).run(script, seconds=PATIENCE).out.decode(errors="replace")
    return {**read(said), "address": connection.address}


def state(connection: Connection, core: int | None = None) -> Mapping[str, Json]:
    """What changes there: ``temperature_c``, ``frequency_hz``, ``load1`` and ``at``, its uptime.

    Raises :class:`DeviceError` where it is not reached.
    """
    files = f"/proc/uptime /proc/loadavg {SCALING} {ZONES} {CHIPS}"
    said = Shell(connection).run(LINES.format(files=files)).out.decode(errors="replace")
    lines, _ = _sections(said)
    with tempfile.TemporaryDirectory() as folder:
        _write(lines, Path(folder))
        found = machine.conditions_now(Path(folder), core)
    return {**found, "at": float(lines.get("/proc/uptime", "0").split()[0])}


def read(said: str) -> Mapping[str, Json]:
    """The facts in what :func:`facts` was told."""
    lines, sections = _sections(said)
    files = {name: text for name, text in sections.items() if name.startswith("/")}
    with tempfile.TemporaryDirectory() as folder:
        _write({**lines, **files}, Path(folder))
        found = dict(machine.host_facts(Path(folder)))
    system, _, kind = sections.get("uname", "").strip().partition(" ")
    found |= {"system": system or "Linux", "machine": kind or "unknown"}
    if "getprop" in sections:
        found |= _android(sections)
        known = {name for name in found["unavailable"] if name in found}
        found["unavailable"] = {k: v for k, v in found["unavailable"].items() if k not in known}
    return found


def _sections(said: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The files of one line, and what follows each mark."""
    head, *parts = re.split(rf"^{MARK} ", said.replace("\r\n", "\n"), flags=re.MULTILINE)
    lines = dict(line.split("\t", 1) for line in head.splitlines() if "\t" in line)
    sections = dict((part + "\n").split("\n", 1) for part in parts)
    return lines, sections


def _write(files: Mapping[str, str], root: Path) -> None:
    for name, text in files.items():
        path = root / name.lstrip("/")
        # Names come from the device.
        if ".." not in path.parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def _android(sections: Mapping[str, str]) -> Mapping[str, Json]:
    """What Android's own programs say; what they do not is absent."""
    properties = dict(re.findall(r"^\[(.+?)\]: \[(.*)\]$", sections["getprop"], re.MULTILINE))

    def first(*names: str) -> str | None:
        return next((properties[name] for name in names if properties.get(name)), None)

    release = first("ro.build.version.release")
    found = {
        "model": first("ro.product.model"),
        "manufacturer": first("ro.product.manufacturer"),
        # ro.soc.model is there from Android 12 on; before, the board's platform comes closest.
        "soc": first("ro.soc.model", "ro.board.platform", "ro.hardware"),
        "abi": first("ro.product.cpu.abi"),
        "android": release,
        "os": f"Android {release}" if release else None,
        **{name: read(sections) for name, read in _TOLD.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


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
