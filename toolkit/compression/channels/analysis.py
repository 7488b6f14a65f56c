"""Find the dependency groups of a model, and what a choice of channels leaves of its layers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.compression.channels.coupling import Layout
from edgekit.compression.channels.graph import trace
from edgekit.compression.channels.rules import propagate
from edgekit.compression.channels.settings import Group, LayerRow
from edgekit.compression.channels.walk import LayerRecord, Product, Walk, follow

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Analysis:
    """A model's groups; by channel, its group and its position there."""

    groups: tuple[Group, ...]
    records: tuple[LayerRecord, ...]
    products: tuple[Product, ...]
    origins: Mapping[int, Any]
    group_of: Layout
    place_of: Layout
    parameters: int

    def mask(self, kept: Sequence[Sequence[int] | Layout]) -> Mask:
        """Mark the channels that stay; ``kept`` are the positions that stay, by group."""
        staying = np.zeros(len(self.group_of), dtype=bool)
        for at, (group, places) in enumerate(zip(self.groups, kept, strict=True)):
            stays = np.zeros(group.before, dtype=bool)
            stays[list(places)] = True
            members = self.group_of == at
            staying[members] = stays[self.place_of[members]]
        return staying

    def macs(self, mask: Mask | None = None) -> dict[str, int]:
        """Count the multiply-accumulates by layer, of the channels that stay (all, without a
        mask).
        """
        names = {id(record.layer): record.name for record in self.records}
        counts = {record.name: 0 for record in self.records if _counts(record)}
        for product in self.products:
            name = names[product.layer]
            counts[name] = counts.get(name, 0) + work(product, mask)
        return counts

    def parameters_after(self, mask: Mask) -> int:
        """Count the elements of all weights that stay."""
        gone = 0
        for record in self.records:
            for weight in record.weights:
                shape = list(getattr(record.layer, weight.name).shape)
                whole = math.prod(shape)
                for axis, layout in weight.axes:
                    shape[axis] = int(mask[layout].sum())
                gone += whole - math.prod(shape)
        return self.parameters - gone

    def rows(self, mask: Mask, groups: Sequence[Group]) -> tuple[LayerRow, ...]:
        """Describe each layer that has kernels before and after; ``groups`` say why channels
        stay.
        """
        before, after = self.macs(), self.macs(mask)
        rows = []
        for record in self.records:
            if not _counts(record):
                continue
            channels, stay = len(record.writes), int(mask[record.writes].sum())
            reason = self._reason(record.writes, groups) if channels == stay else ""
            rows.append(
                LayerRow(
                    record.name,
                    record.kind,
                    channels,
                    stay,
                    before[record.name],
                    after[record.name],
                    reason,
                )
            )
        return tuple(rows)

    def _reason(self, layout: Layout, groups: Sequence[Group]) -> str:
        reasons = [groups[at].frozen for at in np.unique(self.group_of[layout])]
        frozen = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
        return frozen or "all its channels are worth keeping"


def analysis(model: Any) -> Analysis:
    """Follow the channels through a model's graph.

    Raises :class:`CompressionError` for a model without a graph or with free sizes.
    """
    walk = follow(trace(model), propagate)
    group_of, place_of, members = _number(walk)
    layers = [_layers(walk, group_of, at) for at in range(len(members))]
    reasons = _reasons(walk, group_of)
    names = _names([producers[0] for producers, _, _ in layers])
    groups = tuple(
        Group(name, *roles, before=count, kept=tuple(range(count)), frozen="; ".join(why[:3]))
        for name, roles, count, why in zip(names, layers, members, reasons, strict=True)
    )
    return Analysis(
        groups,
        tuple(walk.records.values()),
        tuple(walk.products),
        walk.origins,
        group_of,
        place_of,
        int(model.count_params()),
    )


def work(product: Product, mask: Mask | None) -> int:
    """Count the multiply-accumulates of one call, of the channels that stay."""
    count = product.factor
    for layout in (product.reads, product.writes):
        if layout is not None:
            count *= len(layout) if mask is None else int(mask[layout].sum())
    return count


def _counts(record: LayerRecord) -> bool:
    """Tell whether a layer gets a row: it makes channels, or multiplies."""
    multiplied = any(weight.reads or weight.makes for weight in record.weights)
    kernels = any(weight.name.endswith("kernel") for weight in record.weights)
    return multiplied or kernels or (not record.weights and bool(record.layer.weights))


def _number(walk: Walk) -> tuple[Layout, Layout, list[int]]:
    """Number the channels: by channel its group and position; and each group's count.

    Coupled channels are one position. Positions to which the same layers give as many channels each
    are one group, so that every position of a group costs the same in every layer.
    """
    roots = walk.channels.roots()
    makers: dict[int, Counter[str]] = {}
    for channel, root in enumerate(roots.tolist()):
        makers.setdefault(root, Counter())[walk.channels.makers[channel]] += 1
    groups: dict[tuple[tuple[str, int], ...], int] = {}
    counts: list[int] = []
    numbered: dict[int, tuple[int, int]] = {}
    for root, made in makers.items():
        at = groups.setdefault(tuple(sorted(made.items())), len(groups))
        if at == len(counts):
            counts.append(0)
        numbered[root] = (at, counts[at])
        counts[at] += 1
    pairs = np.array([numbered[root] for root in roots.tolist()], dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1], counts


def _layers(
    walk: Walk, group_of: Layout, at: int
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Name a group's producers, carriers and consumers."""
    members = np.flatnonzero(group_of == at)
    producers = dict.fromkeys(walk.channels.makers[channel] for channel in members.tolist())
    carriers, consumers = [], []
    for record in walk.records.values():
        if any(w.carries and _touches(w.carries, group_of, at) for w in record.weights):
            carriers.append(record.name)
        if any(w.reads and _touches(w.reads, group_of, at) for w in record.weights):
            consumers.append(record.name)
    return tuple(producers), tuple(carriers), tuple(consumers)


def _touches(axis: tuple[int, Layout], group_of: Layout, at: int) -> bool:
    return bool((group_of[axis[1]] == at).any())


def _reasons(walk: Walk, group_of: Layout) -> list[list[str]]:
    by_group: list[list[str]] = [[] for _ in range(int(group_of.max(initial=-1)) + 1)]
    for root, reasons in walk.channels.reasons().items():
        mine = by_group[int(group_of[root])]
        mine.extend(reason for reason in reasons if reason not in mine)
    return by_group


def _names(firsts: Sequence[str]) -> list[str]:
    """Name each group by its first producer, numbered if that makes several groups."""
    names: list[str] = []
    for at, first in enumerate(firsts):
        earlier = list(firsts[:at]).count(first)
        names.append(first if not earlier else f"{first}#{earlier + 1}")
    return names
