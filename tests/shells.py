"""Devices behind a shell on this machine: a home folder of their own, and faults where wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.errors import DeviceError

# Passes bytes on between its own stdin and stdout and those of a command. Every connection takes
# the next line of a plan: ``in`` or ``out`` and a number of bytes, or ``time`` and seconds; and
# what happens then. ``kill``: this end is gone. ``silent``: nothing passes any more, and neither
# end learns of it. ``agent``: the command is killed. Without a line left, nothing happens.
RELAY = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path

plan = Path(sys.argv[1])
lines = plan.read_text().splitlines() if plan.exists() else []
plan.write_text("".join(line + "\\n" for line in lines[1:]))
where, at, how = (lines[0] if lines else "never 0 kill").split()
stopped = threading.Event()
child = subprocess.Popen(
    sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
)
pipes = child.stdin.fileno(), child.stdout.fileno()

def fault():
    stopped.set()
    if how == "silent":
        for pipe in pipes:
            os.set_inheritable(pipe, True)
        nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        subprocess.Popen(["sleep", "8"], close_fds=False, start_new_session=True, **nowhere)
        time.sleep(60)
    os.killpg(child.pid if how == "agent" else os.getpgrp(), signal.SIGKILL)

def copy(source, sink, name):
    passed = 0
    while True:
        most = int(at) - passed if where == name else 1 << 16
        if most <= 0:
            return fault()
        piece = os.read(source, min(most, 1 << 16))
        if stopped.is_set() and how == "silent":
            time.sleep(60)
        if not piece:
            os.close(sink)
            return
        passed += len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(sink, view):]

if where == "time":
    threading.Timer(float(at), fault).start()
threading.Thread(target=copy, args=(0, pipes[0], "in"), daemon=True).start()
copy(pipes[1], 1, "out")
os._exit(child.wait())
"""


@dataclass(frozen=True)
class Shell:
    """A connection to ``sh`` on this machine, with another home folder.

    ``before`` is run first, as a ``.bashrc`` is. ``through`` is a command in front, which passes
    bytes on. ``path`` is where Python is found: by default the one that these tests run in.
    """

    home: Path
    folder: str = ".cache/edgekit"
    shell: tuple[str, ...] = ("sh",)
    before: str = ""
    through: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    pythons: tuple[str, ...] = ()
    path: str = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    @property
    def address(self) -> str:
        return "ssh://tester@here"

    def command(self, script: str) -> list[str]:
        return [*self.through, *self.shell, "-c", self.before + script]

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return {**kept, "HOME": str(self.home), "PATH": self.path, **self.variables}

    def failure(self, status: int, said: str) -> DeviceError | None:
        return None


def faulty(home: Path, *plan: str, **changes: object) -> Shell:
    """A shell whose connections break one after the other as planned, see ``RELAY``."""
    relay, lines = home.with_name("relay.py"), home.with_name("plan.txt")
    relay.write_text(RELAY)
    lines.write_text("".join(line + "\n" for line in plan))
    through = (sys.executable, str(relay), str(lines))
    return Shell(home, through=through, **changes)  # type: ignore[arg-type]
