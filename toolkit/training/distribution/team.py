"""The processes that train together: one keeps the states, all act alike. Runs in the worker."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from edgekit.training.distribution.place import CHIEF, WORKER

T = TypeVar("T")
# How many times workers ask themselves whether a state is due before they ask the chief.
APART = 20


class Team:
    """A process alone: it keeps the states, and asks nobody."""

    chief = True
    alone = True
    # Whether a state within an epoch is one of all steps before it, and no other.
    in_step = True

    def agree(self, due: bool) -> bool:
        """Return the chief's answer, in all processes, if now is a time to ask."""
        return due

    def decide(self, yes: bool) -> bool:
        """Return the chief's answer, in all processes: each of them has to ask."""
        return yes

    def shared(self, make: Callable[[], T]) -> T:
        """Return what ``make`` returns in the chief, in all processes."""
        return make()


class Coordinator(Team):
    """A process that gives steps to workers, which take them at their own pace."""

    in_step = False


class Workers(Team):
    """Workers that take each step together."""

    alone = False

    def __init__(self, strategy: Any) -> None:
        import tensorflow as tf

        self._strategy = strategy
        # A graph of it for each shape, which all workers trace in the same order.
        self._added = tf.function(self._add_up, autograph=False)
        resolver = strategy.cluster_resolver
        with_chief = CHIEF in resolver.cluster_spec().jobs
        place = resolver.task_type, resolver.task_id
        self.chief = place == ((CHIEF if with_chief else WORKER), 0)
        self._asked = 0

    def agree(self, due: bool) -> bool:
        """Return the chief's answer; between two questions the answer is no."""
        self._asked += 1
        if self._asked % APART:
            return False
        return self.decide(due)

    def decide(self, yes: bool) -> bool:
        """Return the chief's answer, in all processes: each of them has to ask."""
        return bool(self._of_chief(np.array([yes], np.int64))[0])

    def shared(self, make: Callable[[], T]) -> T:
        """Return what ``make`` returns in the chief, sent to all."""
        content = pickle.dumps(make()) if self.chief else b""
        words = -(-int(self._of_chief(np.array([len(content)], np.int64))[0]) // 8)
        padded = np.zeros(words * 8, np.uint8)
        padded[: len(content)] = np.frombuffer(content, np.uint8)
        # The processes of a training run the same code of the same user, who trusts them all.
        made: T = pickle.loads(self._of_chief(padded.view(np.int64)).tobytes())  # noqa: S301
        return made

    def _of_chief(self, numbers: Any) -> Any:
        import tensorflow as tf

        result = self._added(tf.constant(numbers))
        return np.asarray(self._strategy.experimental_local_results(result)[0])

    def _add_up(self, own: Any) -> Any:
        """Add up numbers of which only the chief's first replica has any but zero."""
        import tensorflow as tf

        def add(own: Any) -> Any:
            context = tf.distribute.get_replica_context()
            first = tf.cast(tf.equal(context.replica_id_in_sync_group, 0), own.dtype)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, own * first)

        return self._strategy.run(add, (own,))


def team() -> Team:
    """Return the team of the strategy that this is called in."""
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        return Team()
    strategy = tf.distribute.get_strategy()
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        return Coordinator()
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return Workers(strategy)
    return Team()
