"""The search for as few float operators as bring an int8 model's accuracy back.

It judges real files, and a bounded number of them. First no operator in float, with channels
equalised, biases corrected, and both; what helped is kept for the rest. Then the 1, 2, 4, ...
operators that lose most, until that is enough; then the smallest number between the last two, by
bisecting; then each of those operators once back in int8, for the order is one of operators alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgekit.pipeline.variants import Variant
from edgekit.types import Candidate

Outcome = Literal["recovered", "not proven", "not recovered"]
RANKS: tuple[Outcome, ...] = ("recovered", "not proven", "not recovered")
# A treatment is kept where it brings back this share of the loss over the budget, and a simpler one
# is preferred to a better one where less than that lies between them.
TELLING = 0.1


@dataclass(frozen=True)
class JudgedVariant:
    """A variant as it was judged; ``drop`` is infinite where there is no file that runs."""

    variant: Variant
    candidate: Candidate | None
    drop: float
    outcome: Outcome

    @property
    def rank(self) -> int:
        return RANKS.index(self.outcome)

    @property
    def succeeded(self) -> bool:
        return self.outcome != "not recovered"

    @property
    def cost(self) -> tuple[float, ...]:
        """What is better is smaller: proven, fewer in float, less done to the rest, accurate.

        Where accuracy did not come back, only accuracy counts.
        """
        if not self.succeeded:
            return (self.rank, self.drop)
        variant = self.variant
        treatments = variant.equalized + variant.corrected
        return (self.rank, len(variant.kept), treatments, self.drop)


class _Spent(Exception):
    """As many variants were judged as may be."""


@dataclass
class OperatorSearch:
    """One search: ``judge`` makes and judges a variant, ``order`` ranks the operators.

    ``order(equalized)`` are the operators' names, the one that loses most in int8 first. ``lost``
    is the drop of the plain int8 file, and ``limit`` the largest that is allowed.
    """

    judge: Callable[[Variant], JudgedVariant]
    order: Callable[[bool], Sequence[str]]
    can_equalize: bool
    lost: float
    limit: float
    allowed: int
    trials: list[JudgedVariant] = field(default_factory=list)
    stopped: bool = False

    def best(self) -> JudgedVariant | None:
        """Search, and give the best trial: nothing where not one variant could be judged."""
        try:
            self._search()
        except _Spent:
            self.stopped = True
        judged = [trial for trial in self.trials if math.isfinite(trial.drop)]
        return min(judged, key=lambda trial: trial.cost, default=None)

    def _try(self, variant: Variant) -> JudgedVariant:
        for trial in self.trials:
            if trial.variant == variant:
                return trial
        if len(self.trials) >= self.allowed:
            raise _Spent
        trial = self.judge(variant)
        self.trials.append(trial)
        return trial

    def _search(self) -> None:
        treated = self._treat()
        if any(trial.succeeded for trial in self.trials):
            return
        order = self.order(treated.equalized)
        smallest_prefix = self._grow(treated, order)
        if smallest_prefix is None:
            return
        smallest = self._eliminate(smallest_prefix)
        if treated != Variant():
            self._try(Variant(smallest.variant.kept))

    def _treat(self) -> Variant:
        """Judge each treatment of the whole model in int8; the one to go on with."""
        treatments = [Variant(corrected=True)]
        if self.can_equalize:
            equalized = Variant(equalized=True)
            treatments = [equalized, *treatments, Variant(equalized=True, corrected=True)]
        tried = [self._try(variant) for variant in treatments]
        telling = TELLING * (self.lost - self.limit)
        least = min(trial.drop for trial in tried)
        if not self.lost - least >= telling:
            return Variant()
        return next(trial.variant for trial in tried if trial.drop <= least + telling)

    def _grow(self, treated: Variant, order: Sequence[str]) -> JudgedVariant | None:
        """Find the fewest operators, in the order, that must be float for a trial to succeed."""

        def first(count: int) -> JudgedVariant:
            kept = tuple(order[:count])
            return self._try(Variant(kept, treated.equalized, treated.corrected))

        # At least one operator stays in int8: with none the file would be float32.
        most = len(order) - 1
        low, high = 0, 1
        while not (best := first(min(high, most))).succeeded:
            if high >= most:
                return None
            low, high = high, 2 * high
        high = min(high, most)
        while high - low > 1:
            middle = (low + high) // 2
            trial = first(middle)
            if trial.rank <= best.rank:
                best, high = trial, middle
            else:
                low = middle
        return best

    def _eliminate(self, best: JudgedVariant) -> JudgedVariant:
        """Return operators to int8 one by one, as long as the trial does not get worse."""
        for name in reversed(best.variant.kept):
            kept = tuple(other for other in best.variant.kept if other != name)
            if not kept:
                break
            variant = Variant(kept, best.variant.equalized, best.variant.corrected)
            trial = self._try(variant)
            if trial.rank <= best.rank:
                best = trial
        return best
