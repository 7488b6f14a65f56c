"""The search for few float operators, on losses that are known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from edgekit.pipeline.search import JudgedVariant, OperatorSearch, Outcome
from edgekit.pipeline.variants import Variant

NAMES = tuple(f"operator{number}" for number in range(40))
LIMIT = 0.01
Loss = Callable[[Variant], float]


def needing(*numbers: int, each: float = 0.2) -> Loss:
    """A network that loses ``each`` for every one of these operators that computes in int8."""
    wanted = {NAMES[number] for number in numbers}
    return lambda variant: each * len(wanted - set(variant.kept))


def search(loss: Loss, allowed: int = 24, can_equalize: bool = True) -> OperatorSearch:
    def judge(variant: Variant) -> JudgedVariant:
        drop = loss(variant)
        outcome: Outcome = "recovered" if drop <= LIMIT else "not recovered"
        return JudgedVariant(variant, None, drop, outcome)

    return OperatorSearch(judge, lambda _: NAMES, can_equalize, loss(Variant()), LIMIT, allowed)


@pytest.mark.parametrize(
    "needed", [(0,), (0, 1), (0, 1, 2), (1, 2), (0, 4), (6,), (0, 1, 2, 3, 4, 5, 6)]
)
def test_exactly_the_operators_that_are_needed_stay_float(needed: tuple[int, ...]) -> None:
    run = search(needing(*needed))
    best = run.best()
    assert best is not None
    assert best.outcome == "recovered"
    assert set(best.variant.kept) == {NAMES[number] for number in needed}
    assert best.variant == Variant(best.variant.kept)
    assert len(run.trials) <= 24


def test_no_variant_is_judged_twice() -> None:
    run = search(needing(0, 1, 2, 3, 4))
    run.best()
    assert len({trial.variant for trial in run.trials}) == len(run.trials)


@pytest.mark.parametrize("allowed", [1, 2, 3, 5, 8])
def test_no_more_variants_are_judged_than_allowed(allowed: int) -> None:
    run = search(needing(*range(30)), allowed)
    run.best()
    assert len(run.trials) == allowed
    assert run.stopped


def test_a_search_that_is_cut_short_gives_the_best_so_far() -> None:
    run = search(needing(0, 1, 2, 3), allowed=6)
    best = run.best()
    assert best is not None
    assert best.outcome == "recovered"
    assert len(best.variant.kept) == 4


def test_the_most_accurate_is_given_where_the_budget_cannot_be_reached() -> None:
    floor = needing(0, 1)
    run = search(lambda variant: 0.05 + floor(variant))
    best = run.best()
    assert best is not None
    assert best.outcome == "not recovered"
    assert best.drop == pytest.approx(0.05)
    assert not run.stopped


def test_at_least_one_operator_stays_int8() -> None:
    run = search(lambda _: 0.5, allowed=100)
    run.best()
    assert max(len(trial.variant.kept) for trial in run.trials) == len(NAMES) - 1


def test_equalising_alone_keeps_every_operator_int8_where_it_suffices() -> None:
    run = search(lambda variant: 0.0 if variant.equalized else 0.4)
    best = run.best()
    assert best is not None
    assert best.variant == Variant(equalized=True)
    assert len(run.trials) == 3


def test_a_treatment_that_helps_is_kept_with_the_float_operators() -> None:
    needed = needing(0, 1)
    run = search(lambda variant: needed(variant) + (0.0 if variant.corrected else 0.1))
    best = run.best()
    assert best is not None
    assert best.variant.corrected
    assert not best.variant.equalized
    assert set(best.variant.kept) == {NAMES[0], NAMES[1]}


def test_a_treatment_that_is_not_needed_in_the_end_is_left_out() -> None:
    needed = needing(0)
    run = search(
        lambda variant: needed(variant) * (0.5 if variant.equalized else 1.0),
    )
    best = run.best()
    assert best is not None
    assert best.variant == Variant((NAMES[0],))


def test_what_cannot_be_equalised_is_not_tried() -> None:
    run = search(needing(0), can_equalize=False)
    run.best()
    assert not any(trial.variant.equalized for trial in run.trials)


def test_the_search_ends_at_a_set_within_the_budget_proven_or_not() -> None:
    def judge(variant: Variant) -> JudgedVariant:
        count = len(variant.kept)
        outcome: Outcome = "not recovered"
        if count >= 2:
            outcome = "recovered" if count >= 4 else "not proven"
        return JudgedVariant(variant, None, 0.5 / (count + 1), outcome)

    # Two are enough by the point estimate: that ends the growth, and is all that was asked.
    run = OperatorSearch(judge, lambda _: NAMES, True, 0.5, LIMIT, 24)
    best = run.best()
    assert best is not None
    assert (best.outcome, len(best.variant.kept)) == ("not proven", 2)


def test_files_that_do_not_run_are_never_the_best() -> None:
    run = search(lambda _: math.inf)
    assert run.best() is None
    assert all(math.isinf(trial.drop) for trial in run.trials)
