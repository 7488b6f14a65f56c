"""What to do about a check that is not passed: one sentence, with the command or the key."""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.types import Candidate, Status

SMALLER = (
    "make it smaller: `edgekit compress` with --channels or --prune ([compress]), or a smaller one"
    " of [convert] precisions"
)
MEASURE = "measure on a quieter device, or time more launches: `edgekit bench --launches`"
FASTER = "make it faster: --channels ([compress] channels), or int8 in [convert] precisions"
ARENA = "make the activations smaller: --channels ([compress] channels), or a smaller input"
EVALUATE = "run `edgekit convert` with items: --data FILE ([data] evaluate)"
LAYERS = "see the first layer that differs: `edgekit compare A B --layers`"
REFERENCE = "name the model that the file was made from: --reference MODEL ([convert] reference)"
DEVICES = "see what works here with `edgekit devices`"
FIT = "see which targets take the file, and the nearest fix: `edgekit targets fit FILE`"


def unless_passed(status: Status, fix: str) -> str:
    """Return the fix of a check, which one that passed does not have."""
    return "" if status is Status.PASSED else fix


def of_problem(problem: str) -> str:
    """Return the hint of what stopped a candidate, else the way to leave it out."""
    _, _, hint = problem.partition("\n")
    return hint.strip() or "leave it out of [convert] precisions, or see the log of the run"


def of_size(limit: int, candidate: str, others: Iterable[Candidate]) -> str:
    """Return a smaller precision that the run has made and that ran, if any, else the lever."""
    small = [
        other
        for other in others
        if other.id != candidate and not other.problem and 0 < other.bytes <= limit and other.path
    ]
    if not small:
        return SMALLER
    best = max(small, key=lambda one: one.bytes)
    return (
        f"ship {best.id}, which the run has made too and has {best.bytes:,} bytes:"
        f' precision = "{best.precision}" in the table of the target'
    )


def of_drop(status: Status, candidate: str, items: int | None) -> str:
    """Return what wins accuracy back, or what settles whether it is lost."""
    if status is Status.UNAVAILABLE:
        return EVALUATE
    if status is Status.INCONCLUSIVE:
        if items is None:
            return "no number of items settles it: allow a little more, or less, than was measured"
        return f"evaluate about {items:,} items: --data FILE ([data] evaluate)"
    if candidate.partition("@")[0] == "int8":
        return (
            "keep the operators that lose most in float: `edgekit convert --recover` ([convert]"
            " recover), or train for it: --qat ([compress] quantization_aware)"
        )
    if candidate.partition("@")[0] == "float32":
        return "conversion loses nothing here: compress less ([compress]), or train more epochs"
    return "take a wider one of [convert] precisions, or compress less ([compress])"


def of_threshold(status: Status, below: bool) -> str:
    """Return what raises a metric; ``below`` says that the reference does not reach it either."""
    if status is Status.INCONCLUSIVE:
        return "evaluate more items: --data FILE ([data] evaluate)"
    if below:
        return "the reference does not reach it either: train a better model"
    return "take a wider one of [convert] precisions, or `edgekit convert --recover` for int8"


def of_share(status: Status) -> str:
    """Return what makes fewer items change, or what settles how many do."""
    if status is Status.INCONCLUSIVE:
        return "compare them on more items: --data FILE"
    return unless_passed(status, LAYERS)


def of_time(status: Status) -> str:
    """Return what makes a model faster, or what settles whether it is fast enough."""
    return MEASURE if status is Status.INCONCLUSIVE else FASTER
