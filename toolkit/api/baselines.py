"""What a run is held against: the lock of the project, of a branch, or another run."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from edgekit.api.judgement import judge
from edgekit.errors import LockError
from edgekit.gate import lock as locking
from edgekit.gate.lock import Baseline, Tolerances
from edgekit.project import Project
from edgekit.types import Report

GIT = "git:"
SECONDS = 60
RUNS = (".edgekit", "runs")


def tolerances_of(project: Project | None) -> Tolerances:
    """Return what a project lets be worse than its lock."""
    if project is None:
        return Tolerances()
    return locking.tolerances(project.lock)


def root_of(path: Path, project: Project | None) -> Path | None:
    """Return the folder whose lock concerns a report: the project's, or that of its ``.edgekit``.

    None for a report that lies elsewhere.
    """
    if project is not None:
        return project.root
    folder = (path if path.is_dir() else path.parent).resolve()
    if folder.parts[-3:-1] == RUNS:
        return folder.parents[2]
    return None


def find_lock(path: Path, project: Project | None) -> Baseline | None:
    """Return the lock that concerns a report, where there is one. Raises :class:`LockError`."""
    root = root_of(path, project)
    return None if root is None else locking.lock_of(root)


def find_baseline(text: str, path: Path, project: Project | None) -> Baseline:
    """Return what ``--baseline`` names: ``git:REF``, a lock, a report or a run's folder.

    Raises :class:`LockError`, and :class:`ProjectError` for a report that is not one.
    """
    if text.startswith(GIT):
        root = root_of(path, project) or Path.cwd()
        content = _lock_of_branch(text.removeprefix(GIT), root)
        return Baseline(locking.parse_lock(content, text), "lock", text)
    file = Path(text)
    if file.suffix == Path(locking.FILE).suffix and file.is_file():
        return Baseline(locking.read_lock(file), "lock", text)
    entries = locking.entries_of(with_details(judge(file).report, file))
    return Baseline(entries, "baseline", text)


def with_details(report: Report, path: Path) -> Report:
    """Add what a run left beside its report, such as which items are right; if anything.

    Raises :class:`ProjectError` where that file is damaged.
    """
    # Which a run without a baseline does not pay for.
    from edgekit.report import details

    folder = path if path.is_dir() else path.parent
    return replace(report, details=details.read(folder))


def _lock_of_branch(reference: str, root: Path) -> bytes:
    """Read the lock that a commit holds in the folder of the project."""
    where = f"git:{reference}"
    if not reference or reference.startswith("-"):
        hint = "name a branch, a tag or a commit, such as git:main"
        raise LockError("EK-LOCK-006", f"{where} names no commit", hint)
    _git(root, where, "EK-LOCK-007", "is this a git repository?", "rev-parse", "--git-dir")
    known = "`git branch --all` lists branches; in CI, fetch it first: git fetch origin main"
    answer = _git(
        root, where, "EK-LOCK-006", known, "rev-parse", "--verify", f"{reference}^{{commit}}"
    )
    commit = answer.decode().strip()
    blob, none = f"{commit}:./{locking.FILE}", "commit one there: edgekit lock --update"
    size = _git(root, where, "EK-LOCK-003", none, "cat-file", "-s", blob)
    if int(size) > locking.LARGEST:
        hint = f"it is larger than {locking.LARGEST >> 20} MiB, and no lock is"
        raise LockError("EK-LOCK-001", f"{where} cannot be read", hint)
    return _git(root, where, "EK-LOCK-003", none, "cat-file", "blob", blob)


def _git(root: Path, where: str, code: str, hint: str, *arguments: str) -> bytes:
    # The user's own git, wherever it is installed.
    command = shutil.which("git")
    if command is None:
        message = f"{where} cannot be read: git is not installed"
        raise LockError("EK-LOCK-007", message, "install git, or name a report")
    try:
        done = subprocess.run(
            [command, "-C", str(root), *arguments],
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"{where} cannot be read: git did not answer for {SECONDS} s"
        raise LockError("EK-LOCK-007", message, "name a report or a lock instead") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        what = f"{where} has no {locking.FILE} here" if code == "EK-LOCK-003" else where
        message = f"{what} cannot be read: {said[-1] if said else 'git failed'}"
        raise LockError(code, message[:500], hint)
    return done.stdout
