"""The folder on this machine that edgekit keeps its files in: made when it is first needed."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
from pathlib import Path

from . import watchdog

# The file that tells a folder of edgekit's from anyone else's.
MARK = ".edgekit"
NOTE = "edgekit keeps files in this folder; `edgekit devices remove` deletes it.\n"
# Where a folder that is named holds other things already.
OWN = "edgekit"
PRIVATE = 0o700
JOBS = "jobs"


class Folder:
    """A folder by its path, absolute or below the home folder.

    Where there is one that holds other things, it is ``edgekit`` in it.
    """

    def __init__(self, name: str) -> None:
        wanted = Path.home() / name
        self.path = wanted if _ours(wanted) else wanted / OWN
        self._jobs: "set[Path]" = set()

    def make(self, *names: str) -> Path:
        """Return a folder in it, made where it is not there yet. Raises ``OSError``."""
        mark = self.path / MARK
        if not mark.is_file():
            if self.path.is_dir() and any(self.path.iterdir()):
                what = "it holds files that are not edgekit's"
                raise FileExistsError(errno.EEXIST, what, str(self.path))
            absent = [str(one) for one in (self.path, *self.path.parents) if not one.exists()]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=PRIVATE, exist_ok=True)
            try:
                mark.write_text(NOTE + json.dumps(absent) + "\n")
            except OSError as error:
                # Without its mark it would be taken for anyone's.
                mark.unlink()
                error.filename = str(mark)
                raise
        path = self.path.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def erase(self) -> bool:
        """Delete it with all that is in it, and the folders that were made for it; whether it was.

        Raises ``OSError``, and ``ValueError`` where it was not made by edgekit.
        """
        if not self.path.is_dir():
            return False
        try:
            absent = [Path(one) for one in json.loads((self.path / MARK).read_text()[len(NOTE) :])]
        except (OSError, ValueError) as error:
            raise ValueError("%s was not made by edgekit" % self.path) from error
        # The mark goes last: what is left of an interruption is edgekit's still.
        for path in sorted(self.path.iterdir(), key=lambda one: one.name == MARK):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in absent:
            # Others may have put something into it.
            with contextlib.suppress(OSError):
                path.rmdir()
        return True

    def job(self, name: str) -> Path:
        """Return a new folder for a job; it goes with :meth:`drop`, or with this process."""
        path = self.make(JOBS) / name
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
        """End and delete what jobs of processes left that are gone; only for the lock's holder."""
        for pid in watchdog.within(self.path / JOBS):
            watchdog.kill(pid)
        with contextlib.suppress(OSError):
            for path in (self.path / JOBS).iterdir():
                if path not in self._jobs:
                    shutil.rmtree(path, ignore_errors=True)


def _ours(path: Path) -> bool:
    """Tell whether a folder is edgekit's, or can become so: absent or empty."""
    try:
        names = {one.name for one in path.iterdir()}
    except NotADirectoryError:
        return True
    except OSError:
        # Absent, or closed to us: the first use says which.
        return True
    # A home folder holds a folder of that name: edgekit's usual place.
    return not names or (path / MARK).is_file()
