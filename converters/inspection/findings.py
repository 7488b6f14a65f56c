"""The findings of ``edgekit inspect``: one function each, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgekit.converters.inspection import contents, runtimes, scales, structure
from edgekit.converters.inspection.facts import Facts, Finding

CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    structure.empty,
    structure.unwritten,
    structure.overwritten,
    structure.mixed,
    contents.size_mismatches,
    contents.overlapping,
    contents.non_finite,
    scales.invalid_scales,
    scales.misplaced_scales,
    scales.zero_points,
    scales.asymmetric,
    scales.bias_scales,
    structure.float_islands,
    contents.float_weights,
    structure.requantized,
    structure.round_trips,
    structure.stateful,
    structure.flex,
    structure.custom,
    runtimes.per_channel_dense,
    runtimes.understated,
    runtimes.low_claim,
    structure.free_batch,
    structure.free_shapes,
    structure.strings,
    structure.unsigned,
    contents.uncomputed_outputs,
    scales.fixed_outputs,
    scales.clipped,
    scales.odd_scales,
    scales.bare_integers,
    scales.wide_channels,
    contents.duplicates,
    contents.shared,
    contents.unused,
    contents.duplicate_names,
    contents.unneeded_bytes,
    contents.scales,
)
ORDER = {"error": 0, "warning": 1, "info": 2}


def findings(facts: Facts) -> tuple[Finding, ...]:
    """Return all findings about a file, errors first."""
    unsorted = [one for check in CHECKS for one in check(facts)]
    return tuple(sorted(unsorted, key=lambda one: ORDER[one.severity]))
