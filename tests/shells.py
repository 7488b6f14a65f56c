"""Devices behind a shell on this machine: a home folder of their own, and faults where wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.errors import DeviceError


@dataclass(frozen=True)
class Shell:
    """A connection to ``sh`` on this machine, with another home folder.

    ``before`` is run first, as a ``.bashrc`` is. ``through`` is a command in front, which passes
    bytes on.
    """

    home: Path
    folder: str = ".cache/edgekit"
    shell: tuple[str, ...] = ("sh",)
    before: str = ""
    through: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    pythons: tuple[str, ...] = ()
    # Where Python is looked for: the one that these tests run in comes first.
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
