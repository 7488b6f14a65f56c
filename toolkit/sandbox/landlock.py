"""Shut this process in with Landlock, and become another program.

``landlock.py read=/given write=/own … -- PROGRAM ARGUMENT …`` starts a runner. It runs by itself,
and imports next to nothing, for all of it is time before the runner's own. Sources: Linux,
``Documentation/userspace-api/landlock.rst``, ``include/uapi/linux/landlock.h``, capabilities(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# The same on every architecture: the table of system calls has been one since 424.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION = 1
PATH_BENEATH, PORT = 1, 2
NO_NEW_PRIVILEGES = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
# Remove and make folders, files, devices, sockets, pipes and links.
CHANGE = sum(1 << bit for bit in range(4, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
# From which version of the interface the kernel knows a right.
SINCE = {REFER: 2, TRUNCATE: 3, IOCTL_DEV: 5}
# What may be said of a file that is not a folder.
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
NETWORK_SINCE = 4
ABSTRACT_SOCKETS, SIGNALS = 1 << 0, 1 << 1
SCOPES_SINCE = 6

RIGHTS = {
    "read": READ_FILE | READ_DIR,
    "run": READ_FILE | READ_DIR | EXECUTE,
    "write": READ_FILE | READ_DIR | WRITE_FILE | CHANGE | REFER | TRUNCATE,
    "devices": READ_FILE | WRITE_FILE | IOCTL_DEV,
}

# Root may look into any process, load modules and much besides, and no path says so. What it keeps
# of its powers is to open others' files, which are its user's here, and to set priorities.
KEPT = tuple(1 << capability for capability in (1, 2, 3, 23))
CAPABILITIES = 64
DROP_CAPABILITY = 24
CAPABILITY_VERSION = 0x20080522


def abi() -> int:
    """Return the version of the kernel's interface. Raises :class:`OSError` where there is none."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "Landlock is Linux's")
    return _call(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION))


def restrict(rules: Mapping[str, Iterable[str]]) -> int:
    """Allow this process, and what it starts, these paths and no others; the interface's version.

    ``rules`` are paths by what may be done below them: ``read``, ``run`` (and read), ``write``
    (and read), ``devices``. A path that does not exist is left out. ``ports`` are numbers of TCP
    ports to listen at and connect to, on any host. There is no way back. Raises :class:`OSError`
    where the kernel has no Landlock.
    """
    version = abi()
    handled = _known(EXECUTE | WRITE_FILE | READ_FILE | READ_DIR | CHANGE | sum(SINCE), version)
    network = BIND_TCP | CONNECT_TCP if version >= NETWORK_SINCE else 0
    scopes = ABSTRACT_SOCKETS | SIGNALS if version >= SCOPES_SINCE else 0
    size = 24 if scopes else 16 if network else 8
    asked = struct.pack("=QQQ", handled, network, scopes)[:size]
    ruleset = _call(CREATE_RULESET, asked, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for kind in RIGHTS:
            for path in rules.get(kind, ()):
                _allow(ruleset, path, _known(RIGHTS[kind], version))
        for port in rules.get("ports", ()) if network else ():
            rule = struct.pack("=QQ", network, int(port))
            _call(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PORT), rule, ctypes.c_uint32(0))
        if os.geteuid() == 0:
            _lay_down_powers()
        # Without it only root may shut itself in: a program that gains rights would leave.
        _control(NO_NEW_PRIVILEGES, 1)
        _call(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if os.fstat(descriptor).st_mode & 0o170000 != 0o040000:
            rights &= OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        _call(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _lay_down_powers() -> None:
    """Give up root's capabilities but those kept: now, and after any exec."""
    for capability in range(CAPABILITIES):
        if 1 << capability not in KEPT:
            try:
                _control(DROP_CAPABILITY, capability)
            except OSError:
                # One that the kernel does not know, or root of a container that may drop none.
                continue
    header, held = struct.pack("=Ii", CAPABILITY_VERSION, 0), ctypes.create_string_buffer(24)
    _checked(_LIBC.capget(header, held))
    _, low, _, _, high, _ = struct.unpack("=6I", held.raw)
    kept = (low | high << 32) & sum(KEPT)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    _checked(_LIBC.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)))


def _known(rights: int, version: int) -> int:
    """Return the rights that this version of the interface has."""
    return rights & ~sum(right for right, since in SINCE.items() if version < since)


def _call(number: int, *arguments: object) -> int:
    return _checked(_LIBC.syscall(ctypes.c_long(number), *arguments))


def _control(option: int, value: int) -> None:
    _checked(_LIBC.prctl(option, *(ctypes.c_ulong(number) for number in (value, 0, 0, 0))))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


_LIBC = ctypes.CDLL(None, use_errno=True)


def main(arguments: Sequence[str]) -> None:
    """Shut this process in by the rules before ``--``, and run what follows it."""
    end = arguments.index("--")
    rules: dict[str, list[str]] = {}
    for rule in arguments[:end]:
        kind, _, path = rule.partition("=")
        rules.setdefault(kind, []).append(path)
    restrict(rules)
    program = list(arguments[end + 1 :])
    os.execv(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
