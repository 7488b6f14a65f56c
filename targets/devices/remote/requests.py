"""A request as the device takes it: every file of the host's pushed, its paths those there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.runners import FOLDER
from edgekit.types import Request

# Files beside the runners that do not run on a device.
HOST_ONLY = ("__init__.py", "probe.py")
# Modes that run the first items again and again, and how many those are: as python_runner.py does.
TIMED, STAGED = ("bench", "profile"), 32


class Requests:
    """Requests of one agent. What has to be made of the host's files lies in ``folder``."""

    def __init__(self, agent: Agent, folder: Path) -> None:
        self._agent, self._folder = agent, folder
        self._gathered: dict[tuple[str, str, int | None], Path] = {}

    def runner(self, file: Path) -> str:
        """Return the path there of a runner's file, with those beside it that it may import."""
        ours = {one.name: one for one in FOLDER.glob("*.py") if one.name not in HOST_ONLY}
        beside = {**ours, file.name: file}
        return f"{self._agent.push_folder('runners', beside)}/{file.name}"

    def there(self, request: Request) -> Request:
        """Return the request for the device; ``outputs`` are left for the agent to place.

        Positions and answers stay the same. Of a data set with an index only its items go there.
        """
        rows = _rows(request)
        inputs, index = request.inputs, request.index
        if inputs and all(_shorter(path, index, rows) for path in inputs.values()):
            gathered = {name: self._gather(path, index, rows) for name, path in inputs.items()}
            request = replace(request, inputs=gathered, index=None)
        # A file that is missing is for the runner to refuse, in its own words.
        found = self._agent.push([path for path in request.files() if path.is_file()])
        return request.elsewhere({path: Path(there) for path, there in found.items()})

    def _gather(self, path: Path, index: Path | None, rows: int | None) -> Path:
        """Return a file of the items that a request takes, in its order."""
        key = str(path), str(index), rows
        if key not in self._gathered:
            self._folder.mkdir(parents=True, exist_ok=True)
            made = self._folder / f"{os.getpid()}-{len(self._gathered)}-gathered.npy"
            data = np.load(path, mmap_mode="r")
            np.save(made, data[np.load(index)[:rows]] if index else data[:rows])
            self._gathered[key] = made
        return self._gathered[key]

    def drop(self) -> None:
        """Delete what was made of the host's files."""
        for path in self._gathered.values():
            path.unlink(missing_ok=True)
        self._gathered.clear()


def _rows(request: Request) -> int | None:
    """Tell how many of the first items a request looks at; ``None`` where it is all of them."""
    if request.mode not in TIMED:
        return None
    batch = request.batch if isinstance(request.batch, int) else 1
    return (request.items or (0, 0))[0] + STAGED + batch


def _shorter(path: Path, index: Path | None, rows: int | None) -> bool:
    """Tell whether the items that are taken are fewer than those of the file."""
    if not path.is_file() or (index and not index.is_file()):
        return False
    count = len(np.load(path, mmap_mode="r"))
    taken = len(np.load(index, mmap_mode="r")) if index else count
    return min(taken, rows or taken) < count
