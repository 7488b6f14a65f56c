"""Items as streams: in which order they follow each other, and where a state begins anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data.split import LARGEST_SHARE
from edgekit.pipeline.run import Run
from edgekit.types import Advice

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Streams:
    """Item numbers stream by stream, and the places among them at which streams begin."""

    order: Index
    starts: tuple[int, ...]

    def set_apart(self, samples: int) -> tuple[Streams, Streams]:
        """Split the streams into items to calibrate with, and items to judge.

        Of several streams whole ones calibrate, of the only one its beginning.
        """
        count = max(1, min(samples, len(self.order) // LARGEST_SHARE))
        starts: tuple[int, ...] = (0,)
        if len(self.starts) > 1:
            ends = np.array([*self.starts[1:], len(self.order)])
            whole = min(max(1, int(np.sum(ends <= count))), len(ends) - 1)
            count, starts = int(ends[whole - 1]), self.starts[:whole]
        rest = (0, *(at - count for at in self.starts if at > count))
        return Streams(self.order[:count], starts), Streams(self.order[count:], rest)


def ordered(items: Index, column: npt.NDArray[Any] | None) -> Streams:
    """Order items as one stream, or as one for each value of a column."""
    if column is None:
        return Streams(items, (0,))
    _, first, number = np.unique(column, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[number]
    starts = np.flatnonzero(np.diff(np.sort(rank))) + 1
    return Streams(items[np.argsort(rank, kind="stable")], (0, *(int(at) for at in starts)))


def tell(run: Run, streams: Streams | None) -> None:
    """Note over how many streams the model's state is carried on, where it is."""
    if streams is None:
        return
    count = f"{len(streams.starts)} streams" if len(streams.starts) > 1 else "one stream"
    items = f"{len(streams.order):,}"
    message = f"the model's state is carried on through {count} of {items} items in all"
    run.advise(Advice("EK-NOTE-071", "info", message))


def refuse(run: Run) -> None:
    """Note that items are judged separately although a stream was requested."""
    message = "items are judged apart here, each from the state that the model begins with"
    fix = (
        "[evaluate] stream is for edgekit evaluate and compare, and here for states that are"
        " inputs and outputs"
    )
    run.advise(Advice("EK-NOTE-070", "warning", message, fix))
