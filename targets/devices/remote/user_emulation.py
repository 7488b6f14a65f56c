"""Programs of another processor in a folder of their own, run by qemu-user without being root.

Sources: "Kernel Support for miscellaneous Binary Formats (binfmt_misc)" in The Linux kernel
documentation, on registrations and their flags; user_namespaces(7); unshare(1). Since Linux 6.7 a
user namespace has a table of binary formats of its own (changelog, "binfmt_misc: enable sandboxed
mounts").
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import DeviceError

FORMATS = Path("/proc/sys/fs/binfmt_misc")
# Where packages leave registrations, the administrator's own first: binfmt.d(5).
REGISTRATIONS = ("/etc/binfmt.d", "/run/binfmt.d", "/usr/lib/binfmt.d")
OWN_TABLES = (6, 7)
MARK = "edgekit-emulator:"
IMPOSSIBLE = "EK-DEVICE-060"
MISSING = 127
CPUINFO = "etc/cpuinfo"
# What a login shell there would find; nothing of this host's variables.
SURROUNDINGS = "HOME=/root LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# The processor that is emulated, where it is not QEMU's default, as /proc/cpuinfo of a core of it
# has it. With `-cpu max` of QEMU 7.2 XNNPACK's answers are wrong, and LiteRT crashes where
# /proc/cpuinfo names no Arm cores.
CORES = {
    "aarch64": (
        "cortex-a72",
        (
            "BogoMIPS\t: 100.00",
            "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid",
            "CPU implementer\t: 0x41",
            "CPU architecture: 8",
            "CPU variant\t: 0x0",
            "CPU part\t: 0xd08",
            "CPU revision\t: 3",
        ),
    ),
}
# $1: the root, $2: what runs there, $3: a registration, empty where the machine has it already,
# $4: its name, $5: the emulated processor, $6: a file in the root that stands for /proc/cpuinfo,
# both empty for QEMU's default. Mounts end with the last process in their namespace.
ENTER = f"""
fail() {{ echo "{MARK} $1" >&2; exit 125; }}
table={FORMATS}
if [ -n "$3" ]; then
  mount -t binfmt_misc binfmt_misc "$table" || fail table
  [ -e "$table/$4" ] || cat "$3" > "$table/register" || fail registration
fi
for one in dev proc sys; do mount --rbind "/$one" "$1/$one" || fail "$one"; done
[ -z "$6" ] || mount --bind "$1/$6" "$1/proc/cpuinfo" || fail proc/cpuinfo
enter=$(command -v chroot || echo /usr/sbin/chroot)
exec env -i {SURROUNDINGS} ${{5:+QEMU_CPU="$5"}} "$enter" "$1" /bin/sh -c "cd
$2"
"""
NAMESPACES = (
    "user namespaces are off here: allow them as root, `sysctl -w user.max_user_namespaces=10000`"
    " (on Debian also kernel.unprivileged_userns_clone=1, on Ubuntu"
    " kernel.apparmor_restrict_unprivileged_userns=0); a container needs --privileged"
)


def cpuinfo(processor: str) -> str:
    """Return ``/proc/cpuinfo`` of as many cores of the emulated processor as this host has; or
    nothing.
    """
    lines = CORES.get(processor, ("", ()))[1]
    cores = range(os.cpu_count() or 1) if lines else ()
    return "".join("\n".join((f"processor\t: {core}", *lines, "\n")) for core in cores)


@dataclass(frozen=True)
class UserEmulation:
    """How programs of one processor are run on this host.

    ``flags`` are those of unshare. ``registration`` is given to the kernel in a table of its own;
    ``None`` where the machine's table serves.
    """

    processor: str
    flags: str
    registration: Path | None

    def command(self, root: Path, script: str) -> list[str]:
        """Return a local command that is ``sh -c SCRIPT`` in ``root``.

        /dev, /proc and /sys there are the host's, but for the processor that is emulated.
        """
        given = str(self.registration or "")
        core = CORES.get(self.processor, ("",))[0]
        told = CPUINFO if core and (root / CPUINFO).is_file() else ""
        inside = [
            "sh",
            "-c",
            ENTER,
            "sh",
            str(root),
            script,
            given,
            f"qemu-{self.processor}",
            core,
            told,
        ]
        return ["unshare", self.flags, *inside]


def user_emulation(processor: str) -> UserEmulation:
    """Tell how QEMU's ``processor`` (``aarch64``, ``arm``) runs here.

    Raises :class:`DeviceError` where it cannot, with what to install or to allow.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        raise impossible(processor, "there is no unshare: install util-linux")
    registered = _registered(processor)
    registration = None if registered else _registration(processor)
    root = os.geteuid() == 0
    old = _kernel() < OWN_TABLES
    if registration is not None and old and not root:
        raise impossible(
            processor,
            f"Linux {os.uname().release} lets only root add a format: run"
            " `systemctl restart systemd-binfmt` as root, which registers qemu-user-static's",
        )
    # As root before 6.7 the table to add to is the machine's: one's own namespace has none.
    choices = ("-m",) if root and registration is not None and old else ("-Urm", "-m")
    for flags in choices:
        if flags == "-Urm" or root:
            tried = subprocess.run([unshare, flags, "true"], capture_output=True, check=False)
            if tried.returncode == 0:
                return UserEmulation(processor, flags, registration)
    raise impossible(processor, NAMESPACES)


def failure(emulation: UserEmulation, status: int, said: str) -> DeviceError | None:
    """Tell why a command did not get into its root; ``None`` where it did and ended so itself."""
    steps = [line.partition(MARK)[2].strip() for line in said.splitlines() if MARK in line]
    words = " ".join(line for line in said.splitlines() if line.strip() and MARK not in line)
    if steps and status:
        wanted = {
            "table": "the kernel has no binfmt_misc, or lets nobody but root add to it",
            "registration": "the kernel refused the registration of qemu-user-static",
        }
        reason = wanted.get(steps[0], f"/{steps[0]} cannot be mounted there")
        return impossible(emulation.processor, f"{reason}: {words}")
    if said.startswith("unshare:") and status:
        return impossible(emulation.processor, f"{words}\n{NAMESPACES}")
    if "Exec format error" in said and status in (126, MISSING):
        return impossible(emulation.processor, f"{words}: the kernel does not start qemu-user")
    return None


def impossible(processor: str, reason: str) -> DeviceError:
    """Return the error that says why this host does not run programs of a processor."""
    return DeviceError(IMPOSSIBLE, f"{processor} cannot be emulated on this host", reason)


def _registered(processor: str) -> bool:
    """Tell whether the machine runs the processor's programs, inside other roots too.

    Flag F: the emulator was opened when it was registered.
    """
    try:
        lines = (FORMATS / f"qemu-{processor}").read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags:")), "")
    return lines[:1] == ["enabled"] and "F" in flags.partition(":")[2]


def _registration(processor: str) -> Path:
    for folder in REGISTRATIONS:
        path = Path(folder) / f"qemu-{processor}.conf"
        if path.is_file():
            return path
    hint = "install qemu-user-static: `apt-get install qemu-user-static`"
    raise impossible(processor, f"{hint}, which registers qemu-{processor}-static")


def _kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
