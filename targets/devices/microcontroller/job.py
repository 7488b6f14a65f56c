"""One request's model and items, for a board: as ``python_runner`` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import DeviceError, RunnerError, RuntimeCannotRun
from edgekit.targets.devices.failures import models_of
from edgekit.targets.devices.microcontroller.board import Arrays, Board, LoadedOnBoard, Runs
from edgekit.targets.runners import python_runner
from edgekit.types import Request, RunnerModel

RUNTIME = "tflm"
MODES = ("evaluate", "bench", "selftest")
# What a request may ask for, by field: a board has one core, and an interpreter of one size.
ONLY: Mapping[str, tuple[object, ...]] = {
    "batch": (1, "auto"),
    "threads": (1, 0, "auto"),
    "processes": (1, "auto"),
    "delegate": ("none", ""),
    "signature": ("serving_default", "", None),
}
WHY = {
    "batch": "TFLM runs a model at the batch of its file",
    "threads": "TFLM has one thread",
    "processes": "a microcontroller has one",
    "delegate": "TFLM has none",
    "signature": "TFLM runs the first graph of a file; edgekit convert --signature makes one of it",
}


class BoardModel:
    """The model that is open on a board, as ``python_runner.run_items`` takes it."""

    def __init__(self, board: Board, opened: LoadedOnBoard, reset: bool, path: Path) -> None:
        self.inputs, self.outputs, self.batch = opened.inputs, opened.outputs, 1
        self._path, self._fresh = path, False
        # TFLM's reset sets resource variables to zero, whatever they begin with.
        self._renews = python_runner.assigns_resources(str(path))
        self.last: Runs | None = None
        self._board, self._reset, self._crc = board, reset, 0

    def fit(self, items: Mapping[str, tuple[int, ...]]) -> None:
        """Take items of these shapes. Raises ``ValueError``: the shapes are the file's."""
        infos, self.batch = python_runner.fit(dict(self.inputs), dict(items))
        for name, info in infos.items():
            if info.shape != self.inputs[name].shape:
                raise ValueError(
                    f"input {name!r} is shaped {list(self.inputs[name].shape)} there, the items"
                    f" want {list(info.shape)}"
                )
        self.inputs = infos

    def reset(self) -> None:
        """Have the next run begin as at the start; the board does it in :meth:`run`."""
        self._fresh = True
        if self._renews:
            self._board.open(self._path)

    def stage(self, feeds: Arrays) -> None:
        """Send one item."""
        self._crc = self._board.set(feeds)

    def invoke(self) -> None:
        """Run the item that was sent."""
        self.last = self.run(1)

    def fetch(self) -> Arrays:
        """Return the answers to the last item."""
        return self._board.get(self.last.outputs) if self.last else {}

    def run(self, runs: int) -> Runs:
        """Run the item that was sent as often as one command allows, at most."""
        fresh, self._fresh = self._fresh and not self._renews, False
        return self._board.invoke(self._crc, runs, self._reset or fresh)


class BoardJob(python_runner.Job):
    """One model of a request, open on a board. Encodes items and decodes answers as a runner does.

    ``opened`` is what the board says of it, ``model`` what takes the items.

    Raises ``ValueError`` where the request does not fit the model, and what :class:`Board` raises.
    """

    opened: LoadedOnBoard
    model: BoardModel

    def __init__(self, request: Request, entry: RunnerModel, board: Board) -> None:
        self.request, self.path, self.id = request.to_json(), entry.path, entry.id
        self.streams = python_runner.chosen_streams(self.request)
        self.states = python_runner.chosen_states(self.request)
        self.carried: dict[str, Any] = {}
        self.reset = request.reset_state and not self.streams
        self.preprocess = request.preprocess.arithmetic
        self.raw = {n: np.load(p, mmap_mode="r") for n, p in request.inputs.items()}
        self.again(board)
        self.index = np.load(request.index, mmap_mode="r") if request.index else None
        count = len(next(iter(self.raw.values())) if self.index is None else self.index)
        self.start, self.stop = request.items or (0, count)

    def again(self, board: Board) -> None:
        """Open the model anew, on a board that restarted or has had another one."""
        self.opened = board.open(self.path)
        self.model = self.fitted(BoardModel(board, self.opened, self.reset, self.path))


def output_files(job: BoardJob, folder: Path, sample: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the outputs' files, float32, preallocated for all items; ``sample`` is one item's
    answers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    create: Any = np.lib.format.open_memmap
    return {
        name: create(
            folder / f"{python_runner.file_name(name)}.npy",
            "w+",
            np.float32,
            (job.stop, *value.shape[1:]),
        )
        for name, value in sample.items()
    }


def check(request: Request, arena: int) -> None:
    """Refuse what a board cannot do; ``arena`` is the size of its arena in bytes.

    Raises :class:`DeviceError` for another runtime and :class:`RunnerError` for a mode or an option
    that a microcontroller does not have.
    """
    if request.runtime != RUNTIME:
        message = f"there is no runner for {request.runtime!r} on a microcontroller"
        raise DeviceError("EK-DEVICE-001", message, f"its runtime is {RUNTIME}")
    if request.mode == "arena" or request.arena_bytes:
        raise _refused(
            request,
            f"the arena is the firmware's, of {arena:,} bytes; --device tflm finds the smallest",
        )
    if request.mode not in MODES:
        raise _refused(request, f"mode {request.mode!r} is not known there")
    for name, allowed in ONLY.items():
        said = getattr(request, name)
        wanted = allowed[0] if said is None else said
        # True is 1 to Python.
        if wanted not in allowed or isinstance(wanted, bool):
            raise _refused(request, f"{name} {wanted!r}: {WHY[name]}")


def _refused(request: Request, why: str) -> RunnerError:
    message = f"the microcontroller cannot run {models_of(request)} so"
    return RuntimeCannotRun("EK-RUNNER-002", message, why)
