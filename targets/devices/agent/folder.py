"""The folder on this machine that edgekit keeps its files in: made when it is first needed."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

# The file that tells a folder of edgekit's from anyone else's.
MARK = ".edgekit"
NOTE = "edgekit keeps files in this folder; `edgekit devices remove` deletes it.\n"
# Where a folder that is named holds other things already.
OWN = "edgekit"
PRIVATE = 0o700


class Folder:
    """A folder by its path, absolute or below the home folder.

    Where there is one that holds other things, it is ``edgekit`` in it.
    """

    def __init__(self, name: str) -> None:
        wanted = Path(os.path.expanduser("~")) / name
        self.path = wanted if _ours(wanted) else wanted / OWN
        self._jobs: "set[Path]" = set()

    def make(self, *names: str) -> Path:
        """A folder in it, made where it is not there yet. Raises ``OSError``."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(mode=PRIVATE, exist_ok=True)
        mark = self.path / MARK
        if not mark.exists():
            mark.write_text(NOTE)
        path = self.path.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def job(self, name: str) -> Path:
        """A new folder for a job; it goes with :meth:`drop`, or with this process."""
        path = self.make("jobs") / name
        path.mkdir()
        self._jobs.add(path)
        return path

    def drop(self, path: Path) -> None:
        """Delete a job's folder."""
        shutil.rmtree(path, ignore_errors=True)
        self._jobs.discard(path)

    def clear(self) -> None:
        """Delete the folders of the jobs of this process."""
        for path in list(self._jobs):
            self.drop(path)

    def sweep(self) -> None:
        """Delete what jobs of processes left that are gone; only for the holder of the lock."""
        with contextlib.suppress(OSError):
            for path in (self.path / "jobs").iterdir():
                if path not in self._jobs:
                    shutil.rmtree(path, ignore_errors=True)


def _ours(path: Path) -> bool:
    """Whether a folder is edgekit's, or can become so: absent or empty."""
    try:
        names = os.listdir(path)
    except NotADirectoryError:
        return True
    except OSError:
        # Absent, or closed to us: the first use says which.
        return True
    return not names or MARK in names
