"""What a machine behind a shell is, and its state: its files read by its shell, judged here."""

from __future__ import annotations

import contextlib
import re
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.targets.devices.agent import machine
from edgekit.types import Json

CPU = "/sys/devices/system/cpu/cpu[0-9]*"
MOST = f"{CPU}/cpufreq/cpuinfo_max_freq"
# Files of many lines, and of one.
FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/etc/os-release")
FACT = (
    "/proc/device-tree/model",
    "/sys/class/dmi/id/product_name",
    "/proc/sys/kernel/osrelease",
    f"{CPU}/online",
    f"{CPU}/topology/physical_package_id",
    f"{CPU}/topology/core_id",
    f"{CPU}/cpufreq/cpuinfo_min_freq",
    MOST,
    f"{CPU}/cpufreq/scaling_governor",
)
CONDITIONS = (
    "/proc/loadavg",
    f"{CPU}/cpufreq/scaling_cur_freq",
    "/sys/class/thermal/thermal_zone*/type",
    "/sys/class/thermal/thermal_zone*/temp",
    "/sys/class/hwmon/hwmon*/name",
    "/sys/class/hwmon/hwmon*/temp*_input",
)
COUNTERS = ("/proc/stat", f"{CPU}/thermal_throttle/core_throttle_count")
# A file of one line is read by the shell itself: a phone has hundreds, and a process takes 5 ms.
READ = """
{{
for f in {many}; do [ -r "$f" ] && {{ echo "{mark} $f"; cat "$f"; }}; done
for f in {one}; do
    line=; [ -r "$f" ] && {{ IFS= read -r line < "$f" || [ -n "$line" ]; }} && \
        printf '{mark} %s\\n%s\\n' "$f" "$line"
done
}} 2>/dev/null
"""
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

# Runs a script there, and gives what it writes to stdout. Raises DeviceError.
Ask = Callable[[str], bytes]


@dataclass(frozen=True)
class Kind:
    """What programs for a device are built for; ``libc`` is ``glibc``, ``musl`` or ``bionic``."""

    system: str
    machine: str
    libc: str


def kind(ask: Ask) -> Kind:
    """Find the kind of a device by its own programs."""
    system, machine_, libc, *rest = ask(ABOUT).split(b"\n", 3)
    head = rest[0] if rest else b""
    built = MACHINES.get(int.from_bytes(head[18:20], "little")) if head[:4] == b"\x7fELF" else None
    return Kind(system.decode(), built or machine_.decode(), libc.decode())


def read(
    ask: Ask,
    whole: Collection[str],
    first_lines: Collection[str],
    programs: Mapping[str, str] | None = None,
) -> Mapping[str, bytes]:
    """Read files there by path, of ``first_lines`` the first line; and what programs print.

    ``programs`` are commands by a name of one's own, which their output has then.
    """
    mark = f"edgekit-file-{uuid.uuid4().hex}"
    script = READ.format(many=" ".join(whole), one=" ".join(first_lines), mark=mark)
    for name, command in (programs or {}).items():
        script += f"echo '{mark} {name}'; {{ {command}; }} 2>/dev/null\n"
    pieces = ask(f"{script}exit 0\n").replace(b"\r\n", b"\n").split(f"{mark} ".encode())[1:]
    parts = (piece.partition(b"\n") for piece in pieces)
    return {name.decode(errors="replace"): content for name, _, content in parts}


@contextlib.contextmanager
def planted(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write files of a device below a root here, to be read as this machine's own are."""
    with tempfile.TemporaryDirectory(prefix="edgekit-machine-") as folder:
        for name, content in files.items():
            path = Path(folder, name.lstrip("/"))
            # Names come from the device.
            if name.startswith("/") and ".." not in path.parts:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        yield Path(folder)


def facts(ask: Ask, known: Kind) -> Mapping[str, Json]:
    """Return the facts of a machine, as ``agent.machine.host_facts`` gives them."""
    files = read(ask, FACTS, FACT)
    with planted(files) as root:
        own = machine.host_facts(root)
    counted = re.findall(rb"^processor\s*:", files.get("/proc/cpuinfo", b""), re.MULTILINE)
    return {"cpus": len(counted) or 1, **own, "system": known.system, "machine": known.machine}


def state(ask: Ask, core: int | None, runners: Collection[int]) -> Mapping[str, Json]:
    """Return conditions and counters as ``agent.machine.state`` does; ``own`` is of these
    processes.
    """
    programs = {"processes": "cat /proc/[0-9]*/stat"} if runners else {}
    files = read(ask, ("/sys/fs/cgroup/cpu.stat",), (*CONDITIONS, *COUNTERS), programs)
    spent = _of(runners, files.get("processes", b""))
    with planted({**files, **spent}) as root:
        now = {**machine.conditions_now(root, core), **machine.counters(root)}
        if "own" in now:
            now["own"] = sum(machine.counters(root, pid).get("own", 0.0) for pid in runners)
    return now


def conditions(ask: Ask, core: int | None) -> Mapping[str, Json]:
    """Return what changes there without its counters; ``at`` is its uptime."""
    files = read(ask, (), ("/proc/uptime", *CONDITIONS))
    with planted(files) as root:
        now = machine.conditions_now(root, core)
    return {**now, "at": float(files.get("/proc/uptime", b"0").split()[0])}


def fast_core(ask: Ask) -> int | None:
    """Find the last of the fastest cores that programs there may use; ``None`` where not told."""
    files = read(ask, ("/proc/self/status",), (MOST,))
    allowed = re.search(
        rb"^Cpus_allowed_list:\s*(\S+)", files.get("/proc/self/status", b""), re.MULTILINE
    )
    parts = allowed[1].decode().split(",") if allowed else ()
    cores = [core for part in parts for core in _range(part)]
    most = {core: int(files.get(MOST.replace("[0-9]*", str(core)), b"") or 0) for core in cores}
    return max(most, key=lambda core: (most[core], core), default=None)


def _of(runners: Collection[int], processes: bytes) -> Mapping[str, bytes]:
    """Return the ``/proc/PID/stat`` of some processes and their children, among those of all."""
    files = {}
    for line in processes.splitlines():
        # The command in brackets may hold anything, line ends too.
        about = re.match(rb"(\d+) \(.*\) \S (\d+) ", line)
        if about and set(runners) & {int(about[1]), int(about[2])}:
            files[f"/proc/{about[1].decode()}/stat"] = line
    return files


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)
