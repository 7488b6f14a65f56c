"""Raises the alarms of a training while it goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgekit.training.distribution.team import Team
from edgekit.training.watch import alarms
from edgekit.training.watch.alarms import Alarms, Streaks
from edgekit.training.watch.batch import Batch
from edgekit.training.watch.clock import InputClock
from edgekit.training.watch.failure import GoodWeights, explain
from edgekit.training.watch.steps import Look, TracedStep


class Guard:
    """Judges a training by its losses, its looks and its waiting, and says what is wrong.

    ``traced`` is None where the model's step cannot be looked at; the best epoch's weights are
    ``restored`` in the end. ``workers`` that train together keep good weights at the same steps,
    and end together.
    """

    def __init__(
        self,
        model: Any,
        collected: Alarms,
        traced: TracedStep | None,
        clock: InputClock | None,
        batch_at: Callable[[int], Batch] | None,
        restored: bool = False,
        workers: Team | None = None,
    ) -> None:
        self._restored = restored
        self._workers = workers or Team()
        self._model, self._collected, self.traced = model, collected, traced
        self._clock, self._batch_at = clock, batch_at
        self._streaks = {rule: Streaks() for rule in ("vanish", "explode", "dead")}
        self._losses: list[float] = []
        self._validation: list[float] = []
        self._good = GoodWeights(model)
        self._last = self._steps = 0
        self._begin, self._waited = time.monotonic(), 0.0
        self.failed = False

    def give_up(self, error: Exception) -> None:
        """Say that gradients and units of this model cannot be looked at."""
        self.traced = None
        self._collected.add("", alarms.unwatched(error))

    def begin(self, step: int) -> None:
        """Keep the weights that training begins with."""
        self._good.keep(step)
        self._last = step

    def look(self, step: int, look: Look, items: int) -> None:
        """Judge gradients and units."""
        if not all(np.isfinite(weight).all() for weight in look.weights.values()):
            self.check(step)
        if self.failed or not math.isfinite(look.loss):
            return
        dying = alarms.dying(look)
        if seen := self._streaks["dead"].lasting(dying):
            self._collected.add("", alarms.died(step, items, seen))
        # Units that are dead pass no gradients: that is no second fault.
        vanishing = {} if dying else alarms.vanishing(look)
        if seen := self._streaks["vanish"].lasting(vanishing):
            self._collected.add("", alarms.vanished(step, seen))
        clips = any(
            getattr(getattr(self._model, "optimizer", None), name, None)
            for name in ("clipnorm", "clipvalue", "global_clipnorm")
        )
        exploding = {} if clips else alarms.exploding(look)
        if seen := self._streaks["explode"].lasting(exploding):
            self._collected.add("", alarms.exploded(step, seen))

    def step(self, step: int, place: str, logs: Mapping[str, Any]) -> None:
        """Judge a step's loss, and now and then the weights; where they are not numbers, training
        ends with good weights.
        """
        loss = logs.get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            # Several steps may be one call of the graph, that ends with this one.
            self._fail(
                f"the loss is not a number from step {step:,} on ({place})",
                tuple(range(self._last + 1, step + 1)),
            )
        elif self._workers.agree(self._good.due(step)):
            self.check(step)
        self._last = step
        self._starving()

    def check(self, step: int) -> None:
        """Keep the weights of a step, or end a training whose weights are not numbers."""
        if self.failed or self._good.keep(step):
            return
        # A layer may hide it from the loss: relu makes 0 of what is not a number.
        begin = self._good.step
        what = f"weights are not numbers any more, from a step between {begin:,} and {step:,} on"
        self._fail(what, tuple(range(begin + 1, step + 1)))

    def _fail(self, what: str, steps: tuple[int, ...]) -> None:
        if not self.failed:
            explained = what, steps, self._good, self.traced, self._batch_at
            advice = explain(*explained, self._workers)
            self._collected.add("", advice)
        self.failed = True
        self._model.stop_training = True

    def _starving(self) -> None:
        """Judge how long the steps waited, from the second on: the first is traced."""
        self._steps += 1
        if self._clock is None:
            return
        if self._steps == 1:
            self._begin, self._waited = time.monotonic(), self._clock.waited
        elif self._steps % alarms.STARVED_STEPS == 1:
            waited = self._clock.waited - self._waited
            elapsed = time.monotonic() - self._begin
            if advice := alarms.starving(waited, elapsed, self._steps - 1):
                self._collected.add("", advice)

    def epoch(self, logs: Mapping[str, Any]) -> None:
        """Judge the losses by epoch."""
        if "loss" in logs and "val_loss" in logs:
            self._losses.append(float(logs["loss"]))
            self._validation.append(float(logs["val_loss"]))
            if advice := alarms.overfitting(self._losses, self._validation, self._restored):
                self._collected.add("", advice)
