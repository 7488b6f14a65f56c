"""Search over one model: the widths of its groups, what they save, and what they lose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgekit.compression.channels.analysis import Analysis
from edgekit.compression.channels.coupling import Layout
from edgekit.compression.channels.importance import Scores
from edgekit.compression.channels.settings import ChannelPlan, ChannelSettings, Group
from edgekit.errors import CompressionError

Widths = tuple[int, ...]
Counts = npt.NDArray[np.int64]
# A group keeps an eighth of its channels at least: a layer that all but vanishes ("layer collapse",
# Tanaka et al., NeurIPS 2020) costs more than its own norms tell.
FLOOR = 8
# Importances are compared as shares of their group, at least this share of the mean.
FAINTEST = 1e-3


class WidthSearch:
    """A model's groups, each with its channels in the order of removal."""

    def __init__(
        self, analysed: Analysis, settings: ChannelSettings, scores: Mapping[str, Scores]
    ) -> None:
        self._analysed = analysed
        self.multiple = settings.multiple
        self.share = settings.macs
        self.groups = tuple(_judge(group, settings.multiple) for group in analysed.groups)
        self.free = [at for at, group in enumerate(self.groups) if not group.frozen]
        self.full: Widths = tuple(group.before for group in self.groups)
        self.least_widths: Widths = tuple(
            group.before if group.frozen else _floor(group.before, settings.multiple)
            for group in self.groups
        )
        self._order = [np.argsort(-scores[g.name], kind="stable") for g in self.groups]
        # A residual stream narrows every layer that adds to it.
        self._losses = [
            _losses(scores[g.name][order]) * len(g.producers)
            for g, order in zip(self.groups, self._order, strict=True)
        ]
        self._terms = _Terms.of(analysed)
        self.before = self.macs(self.full)

    def check(self) -> None:
        """Raise :class:`CompressionError` if even the smallest widths leave too much."""
        if not self.free:
            raise CompressionError(
                "EK-COMPRESS-023", "no channels of this model can be removed", self._frozen()
            )
        if not self.fits(self.least_widths):
            most = 1 - self.macs(self.least_widths) / self.before if self.before else 0.0
            message = (
                f"{self.share:.0%} of the multiply-accumulates cannot be removed: {most:.1%} is the"
                f" most with channels in multiples of {self.multiple}"
            )
            hint = f"ask for less, or for a smaller multiple\n{self._frozen()}"
            raise CompressionError("EK-COMPRESS-024", message, hint)

    def macs(self, widths: Widths) -> int:
        """Count the multiply-accumulates at these widths, on what stays of every layer."""
        return self._terms.macs(np.array(widths, dtype=np.int64))

    def fits(self, widths: Widths) -> bool:
        """Tell whether these widths remove the requested share."""
        return self.macs(widths) <= (1 - self.share) * self.before

    def lost(self, widths: Widths) -> float:
        """Sum -log(share of the importance kept) over the layers that make channels."""
        return float(sum(loss[w] for loss, w in zip(self._losses, widths, strict=True)))

    def uniform(self) -> Widths:
        """Choose the largest ratio for all groups, rounded to the multiple, that meets the
        budget.
        """
        # The ratios at which a group's rounded width changes; others give the same widths.
        ratios = {
            (count + 0.5) * self.multiple / self.full[at]
            for at in self.free
            for count in range(self.full[at] // self.multiple + 1)
        }
        for ratio in sorted(ratios, reverse=True):
            widths = tuple(self._at(group, ratio) for group in self.groups)
            if self.fits(widths):
                return widths
        return self.least_widths

    def least(self, step: int, worth: npt.NDArray[np.float64] | None = None) -> Widths:
        """Remove blocks that leave multiples of ``step`` channels until the budget is met.

        The block that goes next loses the least of its group's remaining importance (as a
        logarithm, so that no group is emptied for the others) for what it saves: the
        multiply-accumulates on the shapes as they are by then, times ``worth`` by group. In the
        end, blocks that fit are given back, the latest first.
        """
        worth = np.ones(len(self.groups)) if worth is None else worth
        widths, removed = list(self.full), []
        while not self.fits(tuple(widths)):
            at = self._next(widths, step, worth)
            if at is None:
                # Coarse steps end at coarse floors.
                step = self.multiple
                at = self._next(widths, step, worth)
            if at is None:
                return self.least_widths
            removed.append((at, widths[at]))
            widths[at] = _below(widths[at], step)
        for at, before in reversed(removed):
            grown = [*widths[:at], before, *widths[at + 1 :]]
            if before > widths[at] and self.fits(tuple(grown)):
                widths = grown
        return tuple(widths)

    def plan(self, widths: Widths) -> ChannelPlan:
        """Return these widths as a plan."""
        kept = [order[:width] for order, width in zip(self._order, widths, strict=True)]
        mask = self._analysed.mask(kept)
        groups = tuple(
            replace(group, kept=tuple(sorted(places.tolist())))
            for group, places in zip(self.groups, kept, strict=True)
        )
        after = sum(self._analysed.macs(mask).values())
        return ChannelPlan(
            groups,
            self.before,
            after,
            self._analysed.parameters,
            self._analysed.parameters_after(mask),
            self._analysed.rows(mask, self.groups),
            self.lost(widths),
        )

    def savings(self, widths: list[int], step: int) -> Counts:
        """Count the multiply-accumulates that each group's next block of ``step`` would save."""
        now = np.array(widths, dtype=np.int64)
        smaller = np.array([_below(width, step) for width in widths], dtype=np.int64)
        return self._terms.savings(now, now - smaller)

    def _next(self, widths: list[int], step: int, worth: npt.NDArray[np.float64]) -> int | None:
        savings = self.savings(widths, step) * worth
        best, cheapest = math.inf, None
        for at in self.free:
            below = _below(widths[at], step)
            if below < self.least_widths[at] or savings[at] <= 0:
                continue
            price = (self._losses[at][below] - self._losses[at][widths[at]]) / savings[at]
            if price < best:
                best, cheapest = price, at
        return cheapest

    def _at(self, group: Group, ratio: float) -> int:
        if group.frozen:
            return group.before
        rounded = math.floor(ratio * group.before / self.multiple + 0.5) * self.multiple
        return min(group.before, max(_floor(group.before, self.multiple), rounded))

    def _frozen(self) -> str:
        made = {r.name for r in self._analysed.records if any(w.makes for w in r.weights)}
        reasons = [
            f"{g.name}: {g.frozen}" for g in self.groups if g.frozen and made & {*g.producers}
        ]
        more = f"\n… and {len(reasons) - 8} more" if len(reasons) > 8 else ""
        return (
            "\n".join(["these groups keep all channels:", *reasons[:8]]) + more if reasons else ""
        )


@dataclass(frozen=True)
class _Terms:
    """Every product's channel counts as sums of the groups' widths.

    A product is ``factor · (reads @ widths + alone) · (writes @ widths + alone)``.
    """

    factor: Counts
    sides: tuple[tuple[Counts, Counts], ...]

    @classmethod
    def of(cls, analysed: Analysis) -> _Terms:
        sides = tuple(
            _side([getattr(product, name) for product in analysed.products], analysed)
            for name in ("reads", "writes")
        )
        return cls(np.array([p.factor for p in analysed.products], dtype=np.int64), sides)

    def macs(self, widths: Counts) -> int:
        (reads, alone), (writes, single) = self.sides
        return int((self.factor * (reads @ widths + alone) * (writes @ widths + single)).sum())

    def savings(self, widths: Counts, blocks: Counts) -> Counts:
        (reads, alone), (writes, single) = self.sides
        read, written = reads @ widths + alone, writes @ widths + single
        smaller = (read[:, None] - reads * blocks) * (written[:, None] - writes * blocks)
        saved: Counts = self.factor @ ((read * written)[:, None] - smaller)
        return saved


def _side(layouts: list[Layout | None], analysed: Analysis) -> tuple[Counts, Counts]:
    """Count by product and group the channels of one position; and 1 where there are none."""
    counts = np.zeros((len(layouts), len(analysed.groups)), dtype=np.int64)
    alone = np.array([layout is None for layout in layouts], dtype=np.int64)
    sizes = np.array([group.before for group in analysed.groups], dtype=np.int64)
    for row, layout in zip(counts, layouts, strict=True):
        if layout is not None:
            row += np.bincount(analysed.group_of[layout], minlength=len(sizes)) // sizes
    return counts, alone


def _judge(group: Group, multiple: int) -> Group:
    """Freeze a group that cannot shrink, with the reason."""
    if group.frozen:
        return group
    if not group.consumers:
        return replace(group, frozen="no kernel reads it")
    if _below(group.before, multiple) < _floor(group.before, multiple):
        least = _floor(group.before, multiple)
        return replace(group, frozen=f"has {group.before} channels, and {least} is the least kept")
    return group


def _below(width: int, step: int) -> int:
    """Compute the next multiple of a step below a width."""
    return (width - 1) // step * step


def _floor(width: int, multiple: int) -> int:
    return max(1, math.ceil(width / FLOOR / multiple)) * multiple


def _losses(scores: Scores) -> Scores:
    """Compute -log of the importance that stays, by the number of most important channels kept."""
    least = FAINTEST * float(scores.mean()) if scores.any() else 1.0
    kept = np.concatenate([[0.0], np.cumsum(np.maximum(scores, least))])
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(kept / kept[-1]))
