"""How the versions compare so far: an interval for each, and a verdict that may be looked at."""

from __future__ import annotations

import math
from typing import Any

from edgekit.serving.arm import Arm
from edgekit.serving.feedback import Feedback, Tally
from edgekit.serving.service import Service
from edgekit.statistics import Interval
from edgekit.statistics.sequential import (
    answers_to_settle,
    difference_sequence,
    mean_difference_sequence,
)

HOW = (
    "intervals hold at every moment at once, so looking often makes no false alarm likelier;"
    " answers judged must not depend on which version gave them"
)


def results(service: Service, feedback: Feedback) -> dict[str, Any]:
    """Return what is known of each arm, and of the second against the first."""
    arms = list(service.arms.values())
    shadow = service.shadow
    told: dict[str, Any] = {
        "model": service.name,
        "arms": [_arm(service, arm, _tally(feedback, arm)) for arm in arms],
        "how": HOW,
    }
    if shadow is not None:
        told["shadow"] = {
            "arm": arms[1].source.arm,
            "items": shadow.items,
            "differing": shadow.differing,
            "share": _interval(shadow.share),
            "largest_difference": shadow.largest,
            "missed": shadow.missed,
        }
    elif len(arms) == 2:
        told["comparison"] = _comparison(arms, [_tally(feedback, arm) for arm in arms])
    return told


def _tally(feedback: Feedback, arm: Arm) -> Tally:
    return feedback.tallies.get(arm.model.identity, Tally())


def _arm(service: Service, arm: Arm, tally: Tally) -> dict[str, Any]:
    name = arm.source.arm
    return {
        "arm": name,
        "version": arm.model.version,
        "number": arm.model.number,
        "digest": arm.model.digest,
        "share": service.split.shares.get(name),
        "right": {"n": tally.judged, "right": tally.right, **_interval(tally.rate)},
        "value": {"n": tally.numbers, **_interval(tally.average)},
    }


def _comparison(arms: list[Arm], tallies: list[Tally]) -> dict[str, Any]:
    (before, now), names = tallies, [arm.source.arm for arm in arms]
    rights = (before.right, before.judged), (now.right, now.judged)
    right = difference_sequence(*rights)
    value = mean_difference_sequence(
        (before.numbers, before.mean, before.squares), (now.numbers, now.mean, now.squares)
    )
    verdict, words = _verdict(right, ("better", "worse"))
    settle = answers_to_settle(*rights) if verdict == "undecided" else None
    hint = f"; about {settle:,} answers in all would settle it, were the rates so" if settle else ""
    told = {
        "of": names[1],
        "against": names[0],
        "right": {**_interval(right), "verdict": verdict},
        "message": f"{names[1]} is {words} than {names[0]} by what was right{hint}",
    }
    if before.numbers and now.numbers:
        verdict, _ = _verdict(value, ("higher", "lower"))
        told["value"] = {**_interval(value), "verdict": verdict}
    return told


def _verdict(interval: Interval, words: tuple[str, str]) -> tuple[str, str]:
    if interval.low > 0:
        return words[0], words[0]
    if interval.high < 0:
        return words[1], words[1]
    return "undecided", f"not proven {words[0]} or {words[1]}"


def _interval(interval: Interval) -> dict[str, Any]:
    """Return an interval as JSON has it: without what is not finite."""
    bounds = {"value": interval.value, "low": interval.low, "high": interval.high}
    finite = {name: one if math.isfinite(one) else None for name, one in bounds.items()}
    return {**finite, "level": interval.level}
