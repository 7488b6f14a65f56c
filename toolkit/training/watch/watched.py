"""A training that is watched: its items, and its callbacks."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgekit.training.distribution.scope import spread
from edgekit.training.feed import Feed
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.batch import Batch, take
from edgekit.training.watch.callbacks import callbacks
from edgekit.training.watch.clock import InputClock
from edgekit.training.watch.settings import Watching


def watched(
    model: Any,
    feed: Feed,
    watching: Watching,
    alarms: Alarms,
    held: Any | None,
    before: int = 0,
    restored: bool = False,
) -> tuple[Feed, list[Any]]:
    """Watch a compiled model's training on a feed, and tell ``alarms`` what goes wrong.

    ``held`` are the batches it is validated on, with no more than the labels in ``y``. So many
    steps were taken ``before`` by other optimizers; the best epoch's weights are ``restored`` in
    the end. Returns the same feed, that times how long steps wait for its batches, and callbacks.
    """
    # What replicas read is divided after this: nobody waits for the batches of this feed then.
    settings, clock = watching.settings, None if spread() else InputClock()

    def batch_at(step: int) -> Batch:
        epochs = -(-step // feed.steps_per_epoch)
        return take(feed.batches(step - 1, epochs), feed.batch_size)

    heard = callbacks(
        model,
        settings,
        watching.folder,
        take(feed.batches(0, 1), settings.items),
        take(held, settings.items) if held is not None else None,
        alarms=alarms,
        clock=clock,
        batch_at=batch_at,
        before=before,
        restored=restored,
    )
    return feed if clock is None else _timed(feed, clock), heard


def _timed(feed: Feed, clock: InputClock) -> Feed:
    class Timed(type(feed)):  # type: ignore[misc]
        """The same feed, whose batches are waited for by the clock."""

        def batches(self, step: int, epochs: int) -> Any:
            return clock.around(super().batches(step, epochs))

    timed: Feed = Timed(**{one.name: getattr(feed, one.name) for one in dataclasses.fields(feed)})
    return timed
