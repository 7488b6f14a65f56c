"""A vendor's compiler as a process of its own, in a sandbox."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgekit.process import describe_exit, end_group
from edgekit.sandbox import Sandbox


def run_compiler(
    command: Sequence[str], sandbox: Sandbox, folder: Path, log: Path, seconds: float
) -> str:
    """Run a compiler in ``folder``, what it prints goes to ``log``; why it failed, or nothing."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            sandbox.command(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"it took longer than {seconds:g} s"
        finally:
            end_group(process)
    return f"it {describe_exit(process.returncode)[0]}" if process.returncode else ""
