"""What is watched of a training, as callbacks of the model's own Keras."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgekit.models.load import library
from edgekit.training.watch import alarms
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.batch import Batch
from edgekit.training.watch.board import Board
from edgekit.training.watch.budget import Budget
from edgekit.training.watch.clock import InputClock
from edgekit.training.watch.guard import Guard
from edgekit.training.watch.settings import Settings
from edgekit.training.watch.steps import TracedStep

LOG = logging.getLogger(__name__)


def callbacks(
    model: Any,
    settings: Settings,
    folder: Path | None,
    sample: Batch,
    validation: Batch | None = None,
    *,
    found: Alarms | None = None,
    clock: InputClock | None = None,
    batch_at: Callable[[int], Batch] | None = None,
    before: int = 0,
) -> list[Any]:
    """Build the callbacks that watch a compiled model's training.

    Logs go to ``folder``, and none without one. ``sample`` are fixed training items, in the
    structure and form that the model takes, ``validation`` items it is not trained on. Alarms go to
    ``found``; ``clock`` is around the training data, and ``batch_at`` returns the batch of a step,
    counted from 1; ``before`` so many were taken by other optimizers. They draw no random numbers
    and leave every variable as it was, but for the weights of a model whose loss is no longer a
    number: it gets the last good ones.
    """
    watch = _Watch(model, settings, folder, sample, validation, found or Alarms(), clock, batch_at)
    watch.before = before

    class Watching(library(model).callbacks.Callback):  # type: ignore[misc]
        """Tells the watch what Keras tells."""

        def on_train_begin(self, logs: Any = None) -> None:
            watch.begin()

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            watch.epoch = epoch + 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            watch.step(batch, logs or {})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            watch.end_epoch(logs or {})

        def on_train_end(self, logs: Any = None) -> None:
            watch.end()

    return [Watching()]


class _Watch:
    """Looks at a training at intervals that its budget allows, and hands on what it sees."""

    def __init__(
        self,
        model: Any,
        settings: Settings,
        folder: Path | None,
        sample: Batch,
        validation: Batch | None,
        found: Alarms,
        clock: InputClock | None,
        batch_at: Callable[[int], Batch] | None,
    ) -> None:
        self._model, self._settings, self._sample = model, settings, sample
        self._board = Board(model, settings, folder, sample, validation) if folder else None
        self._traced: TracedStep | None = TracedStep(model)
        self._guard = Guard(model, found, self._traced, clock, batch_at)
        self._clock, self._found = clock, found
        self._budget = Budget(settings.share)
        self._seen = self._looked = self._step = 0
        self._waited, self._since = 0.0, time.monotonic()
        self.epoch, self.before = 1, 0

    def begin(self) -> None:
        """Open the logs where training begins or goes on."""
        self._step = self._looked = self.before + _iterations(self._model, 0)
        self._seen = 0
        self._guard.begin(self._step)
        if self._board:
            self._board.begin(self._step)

    def step(self, batch: int, logs: Mapping[str, Any]) -> None:
        """Judge a step, and look where it is time."""
        self._seen += 1
        self._step = self.before + _iterations(self._model, self._step - self.before + 1)
        self._guard.step(self._step, f"epoch {self.epoch}, batch {batch + 1}", logs)
        if self._guard.failed:
            return
        if self._seen == 1:
            self._first()
        elif self._step >= self._looked + self._settings.every and self._budget.allows("look"):
            self._look()
        if self._board:
            self._board.profile(self._seen)

    def _first(self) -> None:
        """Trace what is looked at, once training itself is traced."""
        if self._board:
            self._tried("graph", self._board.graph)
        self._look()
        self._budget = Budget(self._settings.share)
        with self._budget.look("look"):
            pass

    def _look(self) -> None:
        self._looked = self._step
        if (traced := self._traced) is not None:
            with self._budget.look("look"):
                self._tried("look", lambda: self._looks(traced))

    def _looks(self, traced: TracedStep) -> None:
        look = traced(self._sample.x, self._sample.y, self._sample.weight)
        self._guard.look(self._step, look, len(self._sample))
        if self._board:
            self._board.look(self._step, look)

    def _tried(self, what: str, look: Callable[[], None]) -> None:
        """Look, and never end a training by it: what cannot be seen of a model is not watched."""
        try:
            look()
        except Exception as error:
            LOG.warning("%s of this model is not watched: %s", what, error, exc_info=True)
            if what == "look":
                self._traced = self._guard.traced = None
                self._found.add("", alarms.unwatched(error))

    def end_epoch(self, logs: Mapping[str, Any]) -> None:
        """Judge and write an epoch's figures."""
        self._guard.check(self._step)
        self._guard.epoch(logs)
        if not self._board:
            return
        waited = None
        if self._clock is not None:
            now, total = time.monotonic(), self._clock.waited
            waited = (total - self._waited) / max(now - self._since, 1e-9)
            self._waited, self._since = total, now
        self._board.epoch(self._step, logs, waited)
        if not self._guard.failed and self._budget.allows("items"):
            self._items(self._board)

    def _items(self, board: Board) -> None:
        with self._budget.look("items"):
            self._tried("items", lambda: board.items(self._step))

    def end(self) -> None:
        """Look a last time, and close the logs."""
        if self._board:
            if not self._guard.failed:
                if self._looked < self._step:
                    self._look()
                self._items(self._board)
            self._board.end(self._step)


def _iterations(model: Any, otherwise: int) -> int:
    """Return the number of steps that the optimizer has taken."""
    iterations = getattr(getattr(model, "optimizer", None), "iterations", None)
    return otherwise if iterations is None else int(iterations.numpy())
