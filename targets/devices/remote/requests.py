"""A request as the device takes it: every file of the host's pushed, its paths those there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.runners import FOLDER
from edgekit.types import Json

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

    def there(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """Return the request for the device; ``outputs`` are left for the agent to place.

        Positions and answers stay the same. Of a data set with an index only its items go there.
        """
        rows = _rows(request)
        inputs = {name: Path(path) for name, path in request["inputs"].items()}
        index = request.get("index")
        if inputs and all(_shorter(path, index, rows) for path in inputs.values()):
            inputs = {name: self._gather(path, index, rows) for name, path in inputs.items()}
            index = None
        golden = request.get("golden", {})
        files = [
            *(Path(entry["path"]) for entry in request["models"]),
            *inputs.values(),
            *(Path(one["path"]) for one in golden.values()),
            *([Path(index)] if index else []),
        ]
        # A file that is missing is for the runner to refuse, in its own words.
        found = self._agent.push([path for path in files if path.is_file()])
        sent = {str(path): there for path, there in found.items()}
        changed: dict[str, Json] = {
            **request,
            "models": [
                {**entry, "path": sent.get(str(Path(entry["path"])), entry["path"])}
                for entry in request["models"]
            ],
            "inputs": {name: sent.get(str(path), str(path)) for name, path in inputs.items()},
        }
        changed.pop("index", None)
        if index:
            changed["index"] = sent[str(Path(index))]
        if golden:
            changed["golden"] = {
                name: {**one, "path": sent[str(Path(one["path"]))]} for name, one in golden.items()
            }
        return changed

    def _gather(self, path: Path, index: str | None, rows: int | None) -> Path:
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


def _rows(request: Mapping[str, Json]) -> int | None:
    """Tell how many of the first items a request looks at; ``None`` where it is all of them."""
    if request["mode"] not in TIMED:
        return None
    return int((request.get("items") or [0])[0]) + STAGED + int(request.get("batch", 1))


def _shorter(path: Path, index: str | None, rows: int | None) -> bool:
    """Tell whether the items that are taken are fewer than those of the file."""
    if not path.is_file() or (index and not Path(index).is_file()):
        return False
    count = len(np.load(path, mmap_mode="r"))
    taken = len(np.load(index, mmap_mode="r")) if index else count
    return min(taken, rows or taken) < count
