"""The channels that must stay or go together: numbered channels in a union-find.

The dependency groups are those of DepGraph (Fang et al., "DepGraph: Towards Any Structural
Pruning", CVPR 2023), found channel by channel instead of layer by layer: a tensor's channel axis is
an array of channel numbers, so concatenation joins arrays, flattening repeats them, and an
addition couples two of them element by element.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Layout = npt.NDArray[np.intp]


class Channels:
    """Channels numbered as layers make them, each with the layer that made it."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, list[str]] = {}
        self.makers: list[str] = []

    def new(self, maker: str, count: int) -> Layout:
        """Number ``count`` channels that the layer ``maker`` writes, coupled to nothing yet."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        self.makers.extend([maker] * count)
        return np.arange(first, first + count)

    def couple(self, left: Layout, right: Layout) -> None:
        """Let each channel of ``left`` stay or go with its counterpart in ``right``."""
        for one, other in zip(left.tolist(), right.tolist(), strict=True):
            mine, others = self._root(one), self._root(other)
            # The earlier channel leads, so that groups are named by the first layer.
            self._parents[max(mine, others)] = min(mine, others)

    def freeze(self, layout: Layout, reason: str) -> None:
        """Keep these channels, and all coupled to them now or later."""
        for channel in np.unique(layout).tolist():
            reasons = self._reasons.setdefault(channel, [])
            if reason not in reasons:
                reasons.append(reason)

    def roots(self) -> Layout:
        """Find the root of each channel's set: the first of the channels coupled to it."""
        return np.array([self._root(c) for c in range(len(self._parents))], dtype=np.intp)

    def reasons(self) -> dict[int, list[str]]:
        """Collect why sets of coupled channels must stay, by the root of each."""
        by_root: dict[int, list[str]] = {}
        for channel, reasons in self._reasons.items():
            mine = by_root.setdefault(self._root(channel), [])
            mine.extend(reason for reason in reasons if reason not in mine)
        return by_root

    def _root(self, channel: int) -> int:
        parents = self._parents
        while parents[channel] != channel:
            parents[channel] = parents[parents[channel]]
            channel = parents[channel]
        return channel
