"""A training under its strategy: the model built in it, its batches divided. In the worker."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from edgekit.models.load import is_keras3
from edgekit.project.train import TrainTable
from edgekit.training.distribution import keras3
from edgekit.training.distribution.place import Place
from edgekit.training.distribution.replica_step import ReplicaStep
from edgekit.training.distribution.shards import divided
from edgekit.training.distribution.synchronised import synchronise
from edgekit.training.feed import Feed
from edgekit.training.own_step import OwnStep, own_step


def strategy_of(settings: TrainTable, place: Place) -> Any | None:
    """Make the strategy of the settings, before TensorFlow begins; None for the default."""
    if settings.strategy == "default":
        return None
    return importlib.import_module(f"{__package__}.{settings.strategy}").strategy(settings, place)


@contextmanager
def under(settings: TrainTable, place: Place) -> Iterator[None]:
    """Train under the strategy of the settings meanwhile; by default under none."""
    strategy = strategy_of(settings, place)
    with strategy.scope() if strategy is not None else nullcontext():
        yield


@contextmanager
def prepared(model: Any, feed: Feed, settings: TrainTable) -> Iterator[Feed]:
    """Return the feed to train a model on: divided, and a model that can be, under a strategy."""
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        yield feed
        return
    module = importlib.import_module(f"{__package__}.{settings.strategy}")
    if hasattr(module, "check"):
        module.check(model)
    synchronise(model)
    with keras3.mended() if is_keras3(model) else nullcontext():
        yield divided(feed, tf.distribute.get_strategy(), weighed=own_step(model) is None)


def spread() -> bool:
    """Tell whether a strategy is trained under."""
    import tensorflow as tf

    return bool(tf.distribute.has_strategy())


def kind_of_step() -> type[OwnStep]:
    """Return how a step of the user's own is taken: in each replica, where there are such."""
    return ReplicaStep if spread() else OwnStep


def at_once(model: Any, most: int) -> int:
    """Return how many batches may be in one call of the graph: under a strategy the loop that
    Keras 3 puts around them fails (3.15: "Detected at node while/cond").
    """
    import tensorflow as tf

    return 1 if tf.distribute.has_strategy() and is_keras3(model) else most


def predictions(model: Any, x: Any) -> Any:
    """Return a model's outputs for a few items: the same in all processes of a strategy, which
    ``predict`` would divide them among.
    """
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        return model.predict(x, verbose=0)
    return tf.nest.map_structure(lambda one: one.numpy(), model(x, training=False))
