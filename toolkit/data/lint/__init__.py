"""What is wrong with data that fits: found before it costs accuracy.

A module per family of findings, each a generator of :class:`~edgekit.types.Advice` over
:class:`Subset` objects. A new finding is a code in one of them, a row in docs/lint-data.md, and a
test that plants the fault. Nothing here runs a model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgekit.data.lint import duplicates, labels, matching, noise, values
from edgekit.data.lint.quantity import Saturation, saturation
from edgekit.data.lint.subset import Subset, Use
from edgekit.data.lint.variants import PreprocessVariant, variants
from edgekit.types import Advice

__all__ = [
    "PreprocessVariant",
    "Saturation",
    "Subset",
    "Unchecked",
    "Use",
    "arrays",
    "ordered",
    "saturation",
    "variants",
]
# What is exchanged, scaled otherwise or all the same is distributed otherwise too.
EXPLAINING = {"EK-LINT-002", "EK-LINT-010", "EK-LINT-013", "EK-LINT-015"}
ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Unchecked:
    """A check that was not made, and why."""

    check: str
    reason: str


def arrays(subsets: tuple[Subset, ...]) -> tuple[tuple[Advice, ...], tuple[Unchecked, ...]]:
    """Return findings about the arrays themselves, the severest first, and what could not be
    checked.

    ``subsets`` come in the order representative, evaluation, training; at least one.
    """
    findings: list[Advice] = []
    unchecked: list[Unchecked] = []
    first, others = subsets[0], subsets[1:]
    beside = others[0] if others else None
    for subset, following in zip(subsets, (*others, None), strict=True):
        findings += matching.lint(subset, following if subset is first else None)
        findings += values.lint(subset, following)
    early = {finding.code for finding in findings}
    noisy = noise.lint(first, beside)
    findings += [n for n in noisy if n.code != "EK-LINT-041" or not early & EXPLAINING]
    if beside is None:
        unchecked.append(Unchecked("comparison with other items", "there is one set of items"))
    else:
        reason = labels.unchecked(first, beside)
        if reason:
            unchecked.append(Unchecked("class coverage", reason))
        for subset, fuller in zip(subsets, others, strict=False):
            findings += labels.lint(subset, fuller)
    findings += duplicates.lint(tuple(duplicates.hashed(subset) for subset in subsets))
    return ordered(findings), tuple(unchecked)


def ordered(findings: Iterable[Advice]) -> tuple[Advice, ...]:
    """Return each finding once, the severest first."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: ORDER[finding.severity]))
