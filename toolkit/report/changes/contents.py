"""What changed inside a candidate's file: its operators, and the bytes of its layers."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.types import Operator
from edgekit.types.details import CandidateDetails, FileSizes


@dataclass(frozen=True)
class OperatorChange:
    """An operator that came or went, or whose number or version changed; 0 where it is not."""

    name: str
    counts: tuple[int, int]
    versions: tuple[int, int]

    @property
    def text(self) -> str:
        """What became of it, in words."""
        (before, now), (old, new) = self.counts, self.versions
        if not before or not now:
            return f"x{now or before} version {new or old} {'came' if now else 'went'}"
        count = f"x{before} to x{now}" if before != now else f"x{now}"
        return f"{count}, version {old} to {new}" if old != new else count


@dataclass(frozen=True)
class LayerDelta:
    """The bytes of a layer in both files; None where a file has none of that name."""

    layer: str
    operator: str
    before: int | None
    now: int | None

    @property
    def difference(self) -> int:
        return (self.now or 0) - (self.before or 0)


@dataclass(frozen=True)
class LayerDeltas:
    """Layers whose bytes changed, most first, and how many did not; ``reason``: why not known."""

    rows: tuple[LayerDelta, ...] = ()
    same: int = 0
    reason: str = ""


def operator_changes(
    before: tuple[Operator, ...], now: tuple[Operator, ...]
) -> tuple[OperatorChange, ...]:
    """Return the operators that came, went or changed, in alphabetical order."""
    old, new = _counted(before), _counted(now)
    return tuple(
        OperatorChange(name, (was[0], latest[0]), (was[1], latest[1]))
        for name in sorted({*old, *new})
        if (was := old.get(name, (0, 0))) != (latest := new.get(name, (0, 0)))
    )


def _counted(operators: tuple[Operator, ...]) -> dict[str, tuple[int, int]]:
    """Return how often each operator occurs, and its latest version."""
    counts: dict[str, tuple[int, int]] = {}
    for operator in operators:
        count, version = counts.get(operator.name, (0, 0))
        counts[operator.name] = count + operator.count, max(version, operator.version)
    return counts


def layer_deltas(before: CandidateDetails | None, now: CandidateDetails | None) -> LayerDeltas:
    """Return how the bytes of each layer changed, where both runs kept them."""
    for side, details in (("the earlier run", before), ("this run", now)):
        if details is None or details.sizes is None:
            why = details.absent.get("sizes", "") if details else ""
            return LayerDeltas(reason=why or f"{side} kept no sizes of it")
    old, new = _by_layer(before), _by_layer(now)
    rows = [LayerDelta(*name, old.get(name), new.get(name)) for name in dict.fromkeys((*old, *new))]
    changed = [row for row in rows if row.difference]
    changed.sort(key=lambda row: (-abs(row.difference), row.layer))
    return LayerDeltas(tuple(changed), len(rows) - len(changed))


def _by_layer(details: CandidateDetails | None) -> dict[tuple[str, str], int]:
    sizes = details.sizes if details is not None and details.sizes is not None else None
    by_layer: dict[tuple[str, str], int] = {}
    for tensor in (sizes or FileSizes(0, (), {})).tensors:
        name = tensor.layer or tensor.tensor, tensor.operator
        by_layer[name] = by_layer.get(name, 0) + tensor.bytes
    for what, count in (sizes.rest if sizes else {}).items():
        if count:
            by_layer[what, ""] = count
    return by_layer
