"""What this machine is, and the state it is in: read from the files in which Linux tells.

Runs alone on a device, with Python 3.9 and later.

Sources: "The Linux kernel documentation": CPU Performance Scaling (cpufreq), Generic Thermal Sysfs
driver, Naming and data format standards for sysfs files (hwmon), How CPU topology info is exported
via sysfs, ``thermal_throttle``; "Control Group v2" on ``cpu.stat``; proc(5); os-release(5). QEMU's
sources, ``target/arm``: the part number of ``-cpu max``, and a timer of 62.5 MHz.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Json = Any
ROOT = Path("/")
CPUS = "sys/devices/system/cpu"
GROUP = "sys/fs/cgroup/cpu.stat"
# Sensors of the processor, by the names that their drivers give: zones and hwmon chips.
PROCESSOR_SENSORS = ("cpu", "soc", "x86_pkg_temp", "coretemp", "k10temp", "zenpower")
BOARDS = ("proc/device-tree/compatible", "sys/class/dmi/id/sys_vendor")
QEMU_BOARDS = ("linux,dummy-virt", "QEMU")
# -cpu max is made by no one: part "Q" of implementer 0. With KVM the timer is the host's.
QEMU_PART, QEMU_BOGOMIPS = ("0x00", "0x051"), "125.00"
NO_FREQUENCIES = "the system tells no frequencies: there is no cpufreq driver"


class Unknown(Exception):
    """The system does not tell; the text says why."""


def host_facts(root: Path = ROOT) -> Mapping[str, Json]:
    """Return what does not change while one measures.

    ``model`` (of the machine), ``cpu``, ``cpus`` (logical), ``cores`` (physical), ``machine``,
    ``frequency_minimum_hz``, ``frequency_maximum_hz``, ``governor``, ``memory_bytes``, ``system``,
    ``os``, ``kernel``. What the system does not tell is absent, and ``unavailable`` says why.
    ``estimates`` is there only where :func:`emulated` names an emulator: times there are its own.
    """
    known = {"system": platform.system(), "machine": platform.machine()}
    if emulator := emulated(root):
        known["estimates"] = "emulated (%s)" % emulator
    return {**known, **_told(_FACTS, root)}


def emulated(root: Path = ROOT, machine: str = "") -> str:
    """Return the emulator that runs this machine's programs: ``qemu-user``, ``QEMU``; empty without
    one.

    ``machine`` is what uname says, by default here. Only what proves an emulator counts: a virtual
    machine whose programs run on the processor itself, as with KVM, is not one, and says the same
    of its board.
    """
    arm = (machine or platform.machine()).startswith(("aarch64", "arm"))
    told = _cpuinfo(root)
    # Since QEMU 8.2 its /proc/cpuinfo speaks of the Arm processor too.
    if arm and ("vendor_id" in told or _run_by_qemu(root)):
        return "qemu-user"
    if told.get("model name", "").startswith("QEMU TCG CPU"):
        return "QEMU"
    if arm:
        if (told.get("CPU implementer"), told.get("CPU part")) == QEMU_PART:
            return "QEMU"
        boards = " ".join(_text(root / name) for name in BOARDS)
        if told.get("BogoMIPS") == QEMU_BOGOMIPS and any(one in boards for one in QEMU_BOARDS):
            return "QEMU"
    return ""


def _run_by_qemu(root: Path) -> bool:
    """Tell whether this program is qemu's: it hides that from the program, but not from another."""
    readlink = shutil.which("readlink")
    if readlink is None:
        return False
    asked = [readlink, str(root / "proc" / str(os.getpid()) / "exe")]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return False
    return Path(answer.stdout).name.startswith("qemu-")


def conditions_now(root: Path = ROOT, core: int | None = None) -> Mapping[str, Json]:
    """Return what changes: ``temperature_c``, ``frequency_hz`` and ``load1``, the load of a minute.

    The temperature is the processor's hottest sensor, else the machine's. The frequency is that of
    ``core``, else of the fastest core. What the system does not tell is absent, and
    ``unavailable`` says why.
    """
    readers: Mapping[str, Callable[[Path], Json]] = {
        "temperature_c": _temperature,
        "frequency_hz": lambda root: _frequency(root, core),
        "load1": _load,
    }
    return _told(readers, root)


def counters(root: Path = ROOT, pid: int | None = None) -> Mapping[str, Json]:
    """Return counters now: ``at`` (seconds), ``busy``, ``stolen``, ``own`` and ``throttled``.

    ``busy`` and ``stolen`` are processor seconds of all since the start of the machine, ``own``
    those of ``pid`` (by default this process) and all it has started. ``throttled`` counts thermal
    events of all cores, and periods in which the control group was held back. What the system does
    not count is absent.
    """
    counted: dict[str, Json] = {"at": time.monotonic()}
    with contextlib.suppress(OSError, ValueError, IndexError):
        tick = os.sysconf("SC_CLK_TCK")
        # user nice system idle iowait irq softirq steal; what a guest runs is in user already.
        ticks = [int(field) for field in _text(root / "proc/stat").splitlines()[0].split()[1:9]]
        ticks += [0] * (8 - len(ticks))
        counted["stolen"] = ticks[7] / tick
        counted["busy"] = (sum(ticks[:3]) + sum(ticks[5:7])) / tick
        counted["own"] = _spent(root, pid or os.getpid()) / tick
    if (events := _throttled(root)) is not None:
        counted["throttled"] = events
    return counted


def _spent(root: Path, pid: int) -> int:
    """Return ticks of a process and all its descendants, ended ones that were waited for
    included.
    """
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in (root / "proc").glob("[0-9]*/stat"):
        # The command in brackets may hold anything, blanks and brackets too.
        fields = _text(path).rpartition(")")[2].split()
        if len(fields) > 14:
            one = int(path.parent.name)
            parents[one], ticks[one] = int(fields[1]), sum(int(field) for field in fields[11:15])
    return sum(spent for one, spent in ticks.items() if _descends(one, pid, parents))


def _descends(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    while pid in parents:
        if pid == ancestor:
            return True
        pid = parents[pid]
    return False


def _throttled(root: Path) -> int | None:
    counts = [
        _number(p) for p in (root / CPUS).glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    ]
    group = dict(
        line.split() for line in _text(root / GROUP).splitlines() if len(line.split()) == 2
    )
    if group.get("nr_throttled", "").isdigit():
        counts.append(int(group["nr_throttled"]))
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def state(core: int | None = None, root: Path = ROOT) -> Mapping[str, Json]:
    """Return :func:`conditions_now` and :func:`counters` at once."""
    return {**conditions_now(root, core), **counters(root)}


def fast_core(root: Path = ROOT) -> int | None:
    """Return the core to measure on: the last of the fastest that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    most = {
        core: _number(root / CPUS / f"cpu{core}/cpufreq/cpuinfo_max_freq") or 0
        for core in os.sched_getaffinity(0)
    }
    return max(most, key=lambda core: (most[core], core))


def _told(readers: Mapping[str, Callable[[Path], Json]], root: Path) -> Mapping[str, Json]:
    facts: dict[str, Json] = {}
    unavailable: dict[str, str] = {}
    for name, read in readers.items():
        try:
            facts[name] = read(root)
        except Unknown as reason:
            unavailable[name] = str(reason)
    return {**facts, "unavailable": unavailable}


def _text(path: Path) -> str:
    """Return a file's text without the ends; empty where it cannot be read, as a sensor that is
    off.
    """
    try:
        # The device tree ends its strings with a NUL.
        return path.read_text(errors="replace").strip(" \n\t\0")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Return the ``name : value`` or ``NAME=value`` lines of a file."""
    for line in _text(path).splitlines():
        name, separator, value = line.partition(":" if ":" in line else "=")
        if separator:
            yield name.strip(), value.strip().strip('"')


def _model(root: Path) -> str:
    for path in ("proc/device-tree/model", "sys/class/dmi/id/product_name"):
        if found := _text(root / path):
            return found
    raise Unknown("neither a device tree nor DMI names the machine")


def _cpuinfo(root: Path) -> Mapping[str, str]:
    """Return what /proc/cpuinfo says of the first processor, and of the machine."""
    told: dict[str, str] = {}
    for name, value in _lines(root / "proc/cpuinfo"):
        told.setdefault(name, value)
    return told


def _cpu(root: Path) -> str:
    told = _cpuinfo(root)
    if found := told.get("model name") or told.get("Hardware"):
        return found
    # 64-bit Arm gives numbers only.
    if "CPU part" in told:
        return f"CPU implementer {told.get('CPU implementer', '?')} part {told['CPU part']}"
    raise Unknown("/proc/cpuinfo names no processor")


def _folders(root: Path) -> list[Path]:
    found = [path for path in (root / CPUS).glob("cpu[0-9]*") if path.name[3:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[3:]))


def _cpus(root: Path) -> int:
    # A core that is switched off keeps its folder, without a topology.
    online = [path for path in _folders(root) if _text(path / "online") != "0"]
    if not online:
        raise Unknown("/sys tells no processors")
    return len(online)


def _cores(root: Path) -> int:
    cores = {
        (_text(path / "topology/physical_package_id"), _text(path / "topology/core_id"))
        for path in _folders(root)
        if (path / "topology/core_id").exists()
    }
    if not cores:
        raise Unknown("/sys tells no processor topology")
    return len(cores)


def _frequencies(root: Path, name: str) -> list[int]:
    found = [_number(path / "cpufreq" / name) for path in _folders(root)]
    known = [1000 * kilohertz for kilohertz in found if kilohertz is not None]
    if not known:
        raise Unknown(NO_FREQUENCIES)
    return known


def _frequency(root: Path, core: int | None) -> int:
    if core is None:
        return max(_frequencies(root, "scaling_cur_freq"))
    kilohertz = _number(root / CPUS / f"cpu{core}" / "cpufreq/scaling_cur_freq")
    if kilohertz is None:
        raise Unknown(NO_FREQUENCIES)
    return 1000 * kilohertz


def _governor(root: Path) -> str:
    governors = {_text(path / "cpufreq/scaling_governor") for path in _folders(root)} - {""}
    if not governors:
        raise Unknown(NO_FREQUENCIES)
    return ", ".join(sorted(governors))


def _sensors(root: Path) -> Iterator[tuple[str, float]]:
    """Return every temperature that the system tells: the sensor's name, degrees Celsius."""
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        if (value := _number(zone / "temp")) is not None:
            yield _text(zone / "type"), value / 1000
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        for path in sorted(chip.glob("temp*_input")):
            if (value := _number(path)) is not None:
                yield _text(chip / "name"), value / 1000


def _temperature(root: Path) -> float:
    sensors = list(_sensors(root))
    if not sensors:
        raise Unknown("the system tells no temperature: no thermal zone and no sensor")
    processor = [value for name, value in sensors if name.lower().startswith(PROCESSOR_SENSORS)]
    return max(processor or [value for _, value in sensors])


def _load(root: Path) -> float:
    try:
        return float(_text(root / "proc/loadavg").split()[0])
    except (ValueError, IndexError) as error:
        raise Unknown("/proc/loadavg tells no load") from error


def _memory(root: Path) -> int:
    for name, value in _lines(root / "proc/meminfo"):
        if name == "MemTotal":
            return int(value.split()[0]) * 1024
    raise Unknown("/proc/meminfo tells no memory")


def _os(root: Path) -> str:
    for name, value in _lines(root / "etc/os-release"):
        if name == "PRETTY_NAME":
            return value
    raise Unknown("/etc/os-release names no system")


def _kernel(root: Path) -> str:
    if found := _text(root / "proc/sys/kernel/osrelease"):
        return found
    raise Unknown("/proc tells no kernel release")


_FACTS: Mapping[str, Callable[[Path], Json]] = {
    "model": _model,
    "cpu": _cpu,
    "cpus": _cpus,
    "cores": _cores,
    "frequency_minimum_hz": lambda root: min(_frequencies(root, "cpuinfo_min_freq")),
    "frequency_maximum_hz": lambda root: max(_frequencies(root, "cpuinfo_max_freq")),
    "governor": _governor,
    "memory_bytes": _memory,
    "os": _os,
    "kernel": _kernel,
}
