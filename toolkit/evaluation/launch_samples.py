"""The latency of each launch, thinned so that a page can draw its distribution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.types.details import LaunchSamples

MOST = 200


def thinned(runs: npt.NDArray[Any]) -> LaunchSamples:
    """Return the nanoseconds of one launch in ascending order: all, or 200 that are evenly spaced
    from the smallest to the largest.
    """
    ordered = np.sort(runs)
    if len(ordered) > MOST:
        ordered = ordered[np.rint(np.linspace(0, len(ordered) - 1, MOST)).astype(np.int64)]
    return LaunchSamples(len(runs), tuple(int(value) for value in np.rint(ordered)))


def of_launches(launches: Iterable[npt.NDArray[Any]]) -> tuple[LaunchSamples, ...]:
    """Thin the runs of several launches, those without a run left out."""
    return tuple(thinned(runs) for runs in launches if len(runs))


def split(runs: npt.NDArray[Any], counts: tuple[int, ...]) -> tuple[LaunchSamples, ...]:
    """Thin runs that follow each other, so many of each launch."""
    return of_launches(np.split(runs, np.cumsum(counts)[:-1]))
