"""What is watched of a training, as callbacks of the model's own Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgekit.models.load import library
from edgekit.training.distribution.team import Team, team
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.batch import Batch
from edgekit.training.watch.board import Board
from edgekit.training.watch.clock import InputClock
from edgekit.training.watch.guard import Guard
from edgekit.training.watch.looks import Looks
from edgekit.training.watch.partner import Partner
from edgekit.training.watch.settings import Settings
from edgekit.training.watch.steps import TracedStep


def callbacks(
    model: Any,
    settings: Settings,
    folder: Path | None,
    sample: Batch,
    validation: Batch | None = None,
    *,
    alarms: Alarms | None = None,
    clock: InputClock | None = None,
    batch_at: Callable[[int], Batch] | None = None,
    before: int = 0,
    restored: bool = False,
) -> list[Any]:
    """Build the callbacks that watch a compiled model's training.

    Logs go to ``folder``, and none without one. ``sample`` are fixed training items, in the
    structure and form that the model takes, ``validation`` items it is not trained on. Alarms go to
    ``alarms``; ``clock`` is around the training data, and ``batch_at`` returns the batch of a step,
    counted from 1; ``before`` so many were taken by other optimizers, and the best epoch's weights
    are ``restored`` in the end. They draw no random numbers
    and leave every variable as it was, but for the weights of a model whose loss is no longer a
    number: it gets the last good ones.
    """
    workers = team()
    board = _board(model, settings, folder, sample, validation, workers) if folder else None
    traced = TracedStep(model)
    guard = Guard(model, alarms or Alarms(), traced, clock, batch_at, restored, workers)
    looks = Looks(settings, sample, traced, guard, board, workers)
    watch = _Watch(model, guard, board, looks, clock)
    watch.before = before

    class Watching(library(model).callbacks.Callback):  # type: ignore[misc]
        """Tells the watch what Keras tells."""

        def on_train_begin(self, logs: Any = None) -> None:
            watch.begin()

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            watch.begin_epoch(epoch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            watch.step(batch, logs or {})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            watch.end_epoch(logs or {})

        def on_train_end(self, logs: Any = None) -> None:
            watch.end()

    return [Watching()]


def _board(
    model: Any,
    settings: Settings,
    folder: Path,
    sample: Batch,
    validation: Batch | None,
    workers: Team,
) -> Board:
    kind = Board if workers.chief else Partner
    return kind(model, settings, folder, sample, validation)


class _Watch:
    """Hands on what Keras tells: to the guard that judges it, the logs, and what looks closer."""

    def __init__(
        self, model: Any, guard: Guard, board: Board | None, looks: Looks, clock: InputClock | None
    ) -> None:
        self._model, self._guard, self._board = model, guard, board
        self._looks, self._clock = looks, clock
        self._seen = self._step = self._first = 0
        self.epoch, self.before = 1, 0

    def begin(self) -> None:
        """Open the logs where training begins or goes on."""
        self._step, self._seen = self.before + _iterations(self._model, 0), 0
        self._guard.begin(self._step)
        if self._board:
            self._board.begin(self._step)
        self._looks.begin(self._step)

    def begin_epoch(self, epoch: int) -> None:
        """Count the steps of an epoch from those that the optimizer has taken."""
        self.epoch = epoch + 1
        self._first = self.before + _iterations(self._model, self._step - self.before)

    def step(self, batch: int, logs: Mapping[str, Any]) -> None:
        """Judge a step, and look where it is time."""
        self._seen += 1
        self._step = self._first + batch + 1
        self._guard.step(self._step, f"epoch {self.epoch}, batch {batch + 1}", logs)
        if not self._guard.failed:
            self._looks.step(self._step)
        if self._board:
            self._board.profile(self._seen)

    def end_epoch(self, logs: Mapping[str, Any]) -> None:
        """Judge and write an epoch's figures."""
        self._guard.check(self._step)
        self._guard.epoch(logs)
        if not self._board:
            return
        waited = None if self._clock is None else self._clock.share()
        self._board.epoch(self._step, logs, waited)
        if not self._guard.failed:
            self._looks.items(self._step)

    def end(self) -> None:
        """Look a last time, and close the logs."""
        if self._board:
            if not self._guard.failed:
                self._looks.end(self._step)
            self._board.end(self._step)


def _iterations(model: Any, otherwise: int) -> int:
    """Return the number of steps that the optimizer has taken."""
    iterations = getattr(getattr(model, "optimizer", None), "iterations", None)
    return otherwise if iterations is None else int(iterations.numpy())
