"""What a device without Python is, and its state: its files read by its shell, judged here."""

from __future__ import annotations

import re
import tempfile
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.targets.devices.agent import machine
from edgekit.targets.devices.remote.console import Console
from edgekit.types import Json

CPU = "/sys/devices/system/cpu/cpu[0-9]*"
# Files of many lines, and of one, which the shell reads without starting a program.
FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/etc/os-release", "/proc/self/status")
FACT = (
    "/proc/device-tree/model", "/sys/class/dmi/id/product_name", "/proc/sys/kernel/osrelease",
    f"{CPU}/online", f"{CPU}/topology/physical_package_id", f"{CPU}/topology/core_id",
    f"{CPU}/cpufreq/cpuinfo_min_freq", f"{CPU}/cpufreq/cpuinfo_max_freq",
    f"{CPU}/cpufreq/scaling_governor",
)  # fmt: skip
STATES = ("/sys/fs/cgroup/cpu.stat",)
STATE = (
    "/proc/stat", "/proc/loadavg", f"{CPU}/cpufreq/scaling_cur_freq",
    f"{CPU}/thermal_throttle/core_throttle_count",
    "/sys/class/thermal/thermal_zone*/type", "/sys/class/thermal/thermal_zone*/temp",
    "/sys/class/hwmon/hwmon*/name", "/sys/class/hwmon/hwmon*/temp*_input",
)  # fmt: skip
READ = """
for f in {many}; do [ -r "$f" ] && {{ echo "{mark} $f"; cat "$f"; }}; done
for f in {one}; do
    line=; [ -r "$f" ] && {{ IFS= read -r line < "$f" || [ -n "$line" ]; }} && \
        printf '{mark} %s\\n%s\\n' "$f" "$line"
done
"""
PROCESSES = "echo '{mark} processes'; cat /proc/[0-9]*/stat"
# The first 20 bytes of a program that runs there, for the machine that it was built for: the
# kernel may be of another word size. Source: elf(5), e_ident and e_machine.
ABOUT = """
uname -s; uname -m
if [ -e /system/build.prop ]; then echo bionic
elif ls /lib/ld-musl-* >/dev/null; then echo musl
else echo glibc; fi
dd if=/proc/self/exe bs=20 count=1
"""
MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


@dataclass(frozen=True)
class Kind:
    """What programs for a device are built for; ``libc`` is ``glibc``, ``musl`` or ``bionic``."""

    system: str
    machine: str
    libc: str


def kind(console: Console) -> Kind:
    """The kind of a device, by its own programs. Raises :class:`DeviceError`."""
    system, machine_, libc, *rest = console.run(ABOUT).split(b"\n", 3)
    head = rest[0] if rest else b""
    built = MACHINES.get(int.from_bytes(head[18:20], "little")) if head[:4] == b"\x7fELF" else None
    return Kind(system.decode(), built or machine_.decode(), libc.decode())


def facts(console: Console, known: Kind) -> Mapping[str, Json]:
    """As ``agent.machine.host_facts`` gives them."""
    with tempfile.TemporaryDirectory(prefix="edgekit-facts-") as folder:
        root = Path(folder)
        plant(console, FACTS, FACT, root)
        found = machine.host_facts(root)
        counted = re.findall(r"^processor\s*:", _read(root / "proc/cpuinfo"), re.MULTILINE)
    return {"cpus": len(counted) or 1, **found, "system": known.system, "machine": known.machine}


def state(console: Console, core: int | None, runners: Collection[int]) -> Mapping[str, Json]:
    """As ``agent.machine.state`` gives it; ``own`` is what these processes and theirs spent."""
    with tempfile.TemporaryDirectory(prefix="edgekit-state-") as folder:
        root = Path(folder)
        plant(console, STATES, STATE, root, runners)
        found = {**machine.conditions_now(root, core), **machine.counters(root)}
        if "own" in found:
            found["own"] = sum(machine.counters(root, pid).get("own", 0.0) for pid in runners)
    return found


def fast_core(console: Console) -> int | None:
    """The last of the fastest cores that programs there may use; ``None`` where it is not told."""
    with tempfile.TemporaryDirectory(prefix="edgekit-core-") as folder:
        root = Path(folder)
        frequency = f"{CPU}/cpufreq/cpuinfo_max_freq"
        plant(console, ("/proc/self/status",), (frequency,), root)
        told = re.search(
            r"^Cpus_allowed_list:\s*(\S+)", _read(root / "proc/self/status"), re.MULTILINE
        )
        cores = [core for part in (told[1].split(",") if told else ()) for core in _range(part)]
        most = {
            core: int(_read(root / f"{CPU[1:-6]}{core}/cpufreq/cpuinfo_max_freq") or 0)
            for core in cores
        }
    return max(most, key=lambda core: (most[core], core), default=None)


def plant(
    console: Console, many: Collection[str], one: Collection[str], root: Path,
    runners: Collection[int] = (),
) -> None:  # fmt: skip
    """Copy files of a device below ``root``; of those in ``one`` the first line.

    With what these processes and their children spent.
    """
    mark = f"edgekit-file-{uuid.uuid4().hex}"
    script = READ.format(many=" ".join(many), one=" ".join(one), mark=mark)
    if runners:
        script += PROCESSES.format(mark=mark)
    for piece in console.run(script).split(f"{mark} ".encode())[1:]:
        name, _, content = piece.partition(b"\n")
        if name == b"processes":
            for line in content.splitlines():
                # The command in brackets may hold anything, line ends too.
                found = re.match(rb"(\d+) \(.*\) \S (\d+) ", line)
                if found and set(runners) & {int(found[1]), int(found[2])}:
                    _write(root / "proc" / found[1].decode() / "stat", line)
        else:
            _write(root / name.decode().lstrip("/"), content)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _read(path: Path) -> str:
    return path.read_text(errors="replace").strip() if path.exists() else ""


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)
