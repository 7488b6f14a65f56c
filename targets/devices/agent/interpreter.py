"""This Python, as far as wheels go.

Sources: PyPA specification "Platform compatibility tags"; "ELF for the Arm Architecture" on
``EF_ARM_ABI_FLOAT_HARD``.
"""

from __future__ import annotations

import platform
import site
import struct
import sys
import sysconfig
from pathlib import Path
from typing import Any, Mapping

from .about import installed, libc
from .serving import Call

Json = Any
# A 32-bit Python on a 64-bit kernel, as in a 32-bit Raspberry Pi OS: the kernel's word is not it.
NARROW = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}
# Where e_flags is in a 32-bit header, and the flag of programs that pass floats in registers.
FLAGS, HARD_FLOAT = 36, 0x400
SOFT_FLOAT = "armel"


def interpreter(call: Call) -> Mapping[str, Json]:
    """Return ``python`` (``3.11``), ``abi`` (``cp311``; empty where it is not CPython),
    ``machine`` (that
    of this program, not of the kernel), ``libc`` (name and version), and ``packages`` of its own.

    The user's own packages do not count: an environment does not see them.
    """
    users = site.getusersitepackages()
    return {
        "python": "%d.%d" % sys.version_info[:2],
        "abi": abi(),
        "machine": program_machine(platform.machine(), struct.calcsize("P"), header()),
        "libc": libc(),
        "packages": installed([folder for folder in sys.path if folder != users]),
    }


def abi() -> str:
    """Return the tag of extension modules: ``cp311``, or ``cp313t`` without the global lock."""
    if sys.implementation.name != "cpython":
        return ""
    # cpython-311-aarch64-linux-gnu, cpython-313t-…: the letters say how it was built.
    parts = str(sysconfig.get_config_var("SOABI") or "").split("-")
    if len(parts) > 1 and parts[0] == "cpython":
        return "cp" + parts[1]
    return "cp%d%d" % sys.version_info[:2]


def header() -> bytes:
    """Return the first bytes of this program's file."""
    try:
        with Path(sys.executable).open("rb") as program:
            return program.read(FLAGS + 4)
    except OSError:
        return b""


def program_machine(machine: str, pointer: int, header: bytes) -> str:
    """Return the machine that a program is for: the kernel's, or the 32-bit one that it also is.

    ``pointer`` is in bytes, ``header`` the begin of the program's file.
    """
    if pointer == 4:
        machine = NARROW.get(machine, machine)
    if machine == "armv7l" and len(header) >= FLAGS + 4:
        flags = struct.unpack_from("<I", header, FLAGS)[0]
        return machine if flags & HARD_FLOAT else SOFT_FLOAT
    return machine


METHODS = {"interpreter": interpreter}
