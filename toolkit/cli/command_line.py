"""The command line as it was given, so that a run says how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click


def command_line() -> str:
    """Return the current command as a shell takes it, paths below the current folder without it;
    empty where it was not run by the shell.
    """
    given = click.get_current_context().find_root().obj
    if not isinstance(given, Sequence) or isinstance(given, str):
        return ""
    here = f"{Path.cwd()}/"
    return shlex.join(["edgekit", *(str(one).replace(here, "") for one in given)])
