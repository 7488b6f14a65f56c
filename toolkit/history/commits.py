"""Commits of git: of the run that is added, and of those between two runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECONDS = 20
HASH = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Commit:
    """A commit: its short hash, and the first line of its message."""

    hash: str
    subject: str


def commit_of(folder: Path, revision: str = "HEAD") -> str:
    """Return the hash of a revision in the repository of a folder; empty where there is none."""
    answer = _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return answer.strip()


def author(folder: Path) -> str:
    """Return who commits in a folder, ``NAME <ADDRESS>`` as git has it; empty where it has none."""
    known = re.match(r"(.+ <.*>) \d+ [+-]\d{4}$", _git(folder, "var", "GIT_AUTHOR_IDENT").strip())
    return known[1] if known else ""


def commits_between(folder: Path, before: str, after: str) -> tuple[Commit, ...]:
    """Return the commits after ``before`` up to ``after``, the newest first.

    Without git, or where the repository does not have them (a shallow clone), none.
    """
    # What is not a hash comes from a file of another hand, and could be an option of git.
    if not HASH.fullmatch(after) or (before and not HASH.fullmatch(before)):
        return ()
    chosen = (f"{before}..{after}",) if before else ("-1", after)
    lines = _git(folder, "log", "--format=%h%x09%s", *chosen, "--").splitlines()
    return tuple(Commit(*line.split("\t", 1)) for line in lines if "\t" in line)


def _git(folder: Path, *arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run(
        [git, "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
    )
    return done.stdout if done.returncode == 0 else ""
