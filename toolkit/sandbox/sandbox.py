"""Confine a process: what it may read and write besides what every program needs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.sandbox import host, landlock
from edgekit.sandbox.state import state

LAUNCHER = os.path.realpath(landlock.__file__)
# What the C library, Python and TensorFlow say of EACCES.
DENIED = re.compile(r"permission ?denied", re.IGNORECASE)
PATH = re.compile(r"(?<![\w.~/-])/[^\s'\"`:;,|()\[\]{}<>]+")
EVERYWHERE = "model files are opened in a sandbox, even with --trust: see docs/safety.md"


@dataclass(frozen=True)
class Sandbox:
    """What a process may read, what read and write, and what run besides this Python.

    ``ports`` are those of TCP that it may listen at and connect to, by default none.
    Where this machine has no Landlock it restricts nothing: :func:`edgekit.sandbox.state` says so.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    run: tuple[Path, ...] = ()
    ports: tuple[int, ...] = ()

    def wider(self, read: Iterable[Path]) -> Sandbox:
        """Return this sandbox with more paths to read."""
        return replace(self, read=tuple(dict.fromkeys((*self.read, *read))))

    def rules(self) -> Mapping[str, list[str]] | None:
        """Return what :func:`edgekit.sandbox.landlock.restrict` takes; None where this
        machine has no Landlock.
        """
        ports = {"ports": [str(port) for port in self.ports]} if self.ports else {}
        return {**self._rules(), **ports} if state().abi else None

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs another in this sandbox."""
        rules = self.rules()
        if rules is None:
            return list(command)
        # Isolated, without site: it imports what Python itself brings, and execs.
        words = [f"{kind}={path}" for kind, paths in rules.items() for path in paths]
        return [sys.executable, "-I", "-S", LAUNCHER, *words, "--", *command]

    def allow(self, path: str | Path) -> bool:
        """Tell whether the process may read a path."""
        real = os.path.realpath(path)
        every = [one for paths in self._rules().values() for one in paths]
        return any(_holds(os.path.realpath(one), real) for one in every)

    def allow_writing(self, path: str | Path) -> bool:
        """Tell whether the process may write to a path."""
        real, rules = os.path.realpath(path), self._rules()
        places = [*rules["write"], *rules["devices"]]
        return any(_holds(os.path.realpath(one), real) for one in places)

    def denied(self, text: str) -> str:
        """Say what this sandbox refused, from an error's text; empty where nothing."""
        lines = [line for line in text.splitlines() if DENIED.search(line)]
        if not lines or not state().abi:
            return ""
        named = [path for line in lines for path in PATH.findall(line)]
        for path in named or PATH.findall(text):
            if not self.allow(path):
                return f"may not read or write {path}: it has no access to that path"
        for path in named:
            there = path if os.path.exists(path) else os.path.dirname(path)  # noqa: PTH110, PTH120
            if not self.allow_writing(path) and os.access(there, os.W_OK):
                return f"may not write to {path}: it can write only to the run's own folders"
        return ""

    def _rules(self) -> dict[str, list[str]]:
        rules = host.libraries()
        rules["run"] += [*host.interpreter(), *map(str, self.run)]
        rules["read"] += [*host.settings(), *map(str, self.read)]
        return {**rules, "write": [str(path) for path in self.write]}


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
