"""Looks at a model while it trains, at intervals that a budget of time allows."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgekit.training.distribution.team import Team
from edgekit.training.watch.batch import Batch
from edgekit.training.watch.board import Board
from edgekit.training.watch.budget import Budget
from edgekit.training.watch.guard import Guard
from edgekit.training.watch.settings import Settings
from edgekit.training.watch.steps import TracedStep

LOG = logging.getLogger(__name__)
# What is traced for the first look, beside training's own first step: what that is of it.
SHARES = {"graph": 0.05, "gradients": 0.5, "items": 0.1}
# Workers ask their chief after so many steps whether there is time for a look.
APART = 20


class Looks:
    """Looks at the graph, the gradients and the answers of a model, and hands on what it sees.

    TensorFlow traces each of them when it is first looked at. That takes about as long as a part
    of training's own first step, and waits until it fits the budget, too. ``workers`` that train
    together look together, at the steps at which their chief has time: a sum over all of them may
    be part of a look.
    """

    def __init__(
        self,
        settings: Settings,
        sample: Batch,
        traced: TracedStep,
        guard: Guard,
        board: Board | None,
        workers: Team,
    ) -> None:
        self._workers = workers
        self._apart = 1 if workers.alone else min(APART, settings.every)
        self._every, self._sample, self._traced = settings.every, sample, traced
        self._guard, self._board = guard, board
        self._budget = Budget(settings.share)
        self._unseen = set(SHARES) if board else {"gradients"}
        self._next: int | None = None

    def begin(self, step: int) -> None:
        """Begin where training begins or goes on."""
        self._next = None
        self._last = self._asked = step
        self._budget.begin()

    def step(self, step: int) -> None:
        """Look after a step, where it is time."""
        if self._next is None:
            for name, share in SHARES.items():
                self._budget.expect(name, share)
            self._next = step
        if step < self._asked + self._apart:
            return
        self._asked = step
        if self._board is not None and "graph" in self._unseen:
            self._look("graph", self._board.graph)
        if step >= self._next:
            self._closer(step)

    def items(self, step: int) -> None:
        """Look at the answers to fixed items after an epoch."""
        board = self._board
        if board is not None:
            self._look("items", lambda: board.items(step))

    def end(self, step: int) -> None:
        """Look a last time, and say what was never seen."""
        if self._last < step:
            self._closer(step)
        self.items(step)
        if self._unseen:
            LOG.info(
                "not watched, for this training was too short for it: %s",
                ", ".join(sorted(self._unseen)),
            )

    def _closer(self, step: int) -> None:
        """Look at weights and gradients, and where there is no time to trace those, at weights."""
        board = self._board

        def gradients() -> None:
            seen = self._traced(self._sample.x, self._sample.y, self._sample.weight)
            self._guard.look(step, seen, len(self._sample))
            if board:
                board.look(step, seen)

        def weights() -> None:
            if board:
                board.weights(step)

        if self._look("gradients", gradients) or (board and self._look("weights", weights)):
            self._next, self._last = step + self._every, step

    def _look(self, name: str, look: Callable[[], None]) -> bool:
        """Look where the budget allows, and never end a training by it; tell whether it did."""
        if not self._workers.decide(self._budget.allows(name)):
            return False
        self._unseen.discard(name)
        with self._budget.look(name):
            try:
                look()
            except Exception as error:
                LOG.warning("%s of this model is not watched: %s", name, error, exc_info=True)
                self._budget.forbid(name)
                if name == "gradients":
                    self._guard.give_up(error)
        return True
