"""Whether this machine has Landlock, and why not where it has not."""

from __future__ import annotations

import errno
import os
import platform
from dataclasses import dataclass

from edgekit.sandbox import landlock

# The way round for a machine on which nothing runs in a sandbox. Runs say that it was taken.
SWITCH = "EDGEKIT_SANDBOX"
FILES = "processes that open a model can read and write all that you can, and connect to it"
NETWORK = "processes that open a model can connect to all that you can; files are protected"
TRUNCATION = "processes that open a model can connect to all that you can, and empty your files"
# Landlock's interface knows TRUNCATE from here, and TCP from there.
TRUNCATE_SINCE = 3


@dataclass(frozen=True)
class State:
    """The version of Landlock's interface here; 0, with the ``reason``, where there is none.

    ``open`` says what it does not protect; empty where it protects all. ``fix`` says how to get
    the rest.
    """

    abi: int
    reason: str = ""
    open: str = ""
    fix: str = ""

    @property
    def title(self) -> str:
        """What it is called in one line."""
        return f"Landlock ABI {self.abi}" if self.abi else "absent"


def state() -> State:
    """Find out how much of the sandbox this machine can enforce."""
    if os.environ.get(SWITCH) == "off":
        return State(0, f"{SWITCH}=off", FILES, f"unset {SWITCH}")
    try:
        version = landlock.abi()
    except OSError as error:
        return State(0, *_missing(error))
    if version < landlock.NETWORK_SINCE:
        lacks = NETWORK if version >= TRUNCATE_SINCE else TRUNCATION
        reason = (
            f"Linux {platform.release()} has Landlock's ABI {version}, which does not restrict TCP"
        )
        return State(version, reason, lacks, "Linux 6.7 or later restricts the network, too")
    return State(version)


def _missing(error: OSError) -> tuple[str, str, str]:
    system = f"{platform.system()} {platform.release()}"
    if platform.system() != "Linux":
        return f"{system} has no Landlock", FILES, "Linux 5.13 or later has it"
    if error.errno == errno.EOPNOTSUPP:
        fix = "add landlock to lsm= on the kernel's command line, and start it again"
        return "Landlock is disabled in this kernel", FILES, fix
    if error.errno == errno.ENOSYS:
        fix = "it came with Linux 5.13 and must be built in (CONFIG_SECURITY_LANDLOCK)"
        return f"{system} has no Landlock", FILES, fix
    fix = "a container's seccomp profile must allow landlock_create_ruleset and its kin"
    return f"Landlock is refused here ({error.strerror})", FILES, fix
