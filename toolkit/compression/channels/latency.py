"""Plan by measured latency: which groups to prune on a device, in blocks of how many channels.

Int8 kernels compute in tiles, so time falls in steps and not with the multiply-accumulates. How
wide the tiles are, and how far a layer waits for memory instead of multiplying, only the device
knows: a bounded number of candidates is measured there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from edgekit.compression.channels.search import Widths, WidthSearch
from edgekit.compression.channels.settings import ChannelPlan

PROBED = 12
# Below this share of the mean saving a probe is noise.
FAINTEST = 0.1


def fastest(search: WidthSearch, cost: Callable[[ChannelPlan], float]) -> ChannelPlan:
    """Return the plan within the budget that saves the most time for the importance it loses.

    At most 20 plans are measured: the model as it is; up to 12 with one group at half its width,
    which tells what a multiply-accumulate of that group takes; the uniform plan; and up to 6 that
    these figures and the bare counts give, in blocks of 1, 2 and 4 multiples.
    """
    bench = _Bench(search, cost)
    before = bench.time(search.full)
    measured = _worth(search, bench, before)
    candidates = {search.uniform()} | {
        search.least(search.multiple * blocks, worth)
        for blocks in (1, 2, 4)
        for worth in (None, measured)
    }
    best = max(
        sorted(candidates),
        key=lambda widths: (before - bench.time(widths)) / max(search.lost(widths), 1e-9),
    )
    plan = search.plan(best)
    return replace(plan, nanoseconds_before=before, nanoseconds_after=bench.time(best))


@dataclass
class _Bench:
    """Measures plans, each once."""

    search: WidthSearch
    cost: Callable[[ChannelPlan], float]
    known: dict[Widths, float] = field(default_factory=dict)

    def time(self, widths: Widths) -> float:
        if widths not in self.known:
            self.known[widths] = float(self.cost(self.search.plan(widths)))
        return self.known[widths]


def _worth(search: WidthSearch, bench: _Bench, before: float) -> npt.NDArray[np.float64]:
    """Measure the nanoseconds saved per multiply-accumulate of each group, 1 on average."""
    probes = {at: _half(search, at) for at in search.free}
    saved = {at: search.before - search.macs(widths) for at, widths in probes.items()}
    largest = sorted(search.free, key=lambda at: -saved[at])[:PROBED]
    pace = {at: (before - bench.time(probes[at])) / saved[at] for at in largest if saved[at] > 0}
    mean = max(float(np.mean([*pace.values()])) if pace else 1.0, 1e-12)
    return np.array([max(pace.get(at, mean) / mean, FAINTEST) for at in range(len(search.groups))])


def _half(search: WidthSearch, at: int) -> Widths:
    """Halve the width of one group, to the multiple and above its floor; others stay full."""
    half = search.full[at] // 2 // search.multiple * search.multiple
    return (*search.full[:at], max(search.least_widths[at], half), *search.full[at + 1 :])
