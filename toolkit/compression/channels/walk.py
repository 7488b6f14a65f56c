"""Walk a model's calls, and collect coupled channels, sliced weights and products."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgekit.compression.channels.coupling import Channels, Layout
from edgekit.compression.channels.graph import ChannelCall, ChannelGraph


@dataclass(frozen=True)
class SlicedWeight:
    """One weight of a layer and whose channels its axes hold: ``reads`` in, ``makes`` out.

    ``carries`` is the axis of a channel-wise weight (a batch norm's, a depthwise kernel's).
    """

    name: str
    reads: tuple[int, Layout] | None = None
    makes: tuple[int, Layout] | None = None
    carries: tuple[int, Layout] | None = None

    @property
    def axes(self) -> tuple[tuple[int, Layout], ...]:
        """The axes that channels are cut from."""
        return tuple(axis for axis in (self.reads, self.makes, self.carries) if axis is not None)


@dataclass(frozen=True)
class LayerRecord:
    """What pruning changes of a layer: its weights, and the settings with a channel count."""

    name: str
    kind: str
    layer: Any
    reads: Layout
    writes: Layout
    weights: tuple[SlicedWeight, ...] = ()
    settings: tuple[tuple[str, Layout], ...] = ()


@dataclass(frozen=True)
class Product:
    """Multiply-accumulates of one call: ``factor`` times the channels read times those written."""

    layer: int
    factor: int
    reads: Layout | None = None
    writes: Layout | None = None


@dataclass
class Walk:
    """The state of one walk; rules for each kind of layer write to it."""

    channels: Channels = field(default_factory=Channels)
    records: dict[int, LayerRecord] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)
    origins: dict[int, Any] = field(default_factory=dict)

    def record(
        self,
        call: ChannelCall,
        reads: Layout,
        count: int | None,
        describe: Callable[[Layout], Sketch],
    ) -> Layout:
        """Return the channels that a layer writes: ``count`` new ones, or those it reads.

        A layer called again reads and writes what it did the first time: its weights are the same.
        """
        known = self.records.get(id(call.layer))
        if known is not None:
            self.channels.couple(known.reads, reads)
            return known.writes if count is not None else reads
        writes = reads if count is None else self.channels.new(call.name, count)
        sketch = describe(writes)
        settings = sketch.settings
        self.records[id(call.layer)] = LayerRecord(
            call.name, call.kind, call.layer, reads, writes, sketch.weights, settings
        )
        return writes

    def multiply(
        self,
        call: ChannelCall,
        factor: int,
        reads: Layout | None = None,
        writes: Layout | None = None,
    ) -> None:
        """Count the multiply-accumulates of one call."""
        self.products.append(Product(id(call.layer), factor, reads, writes))

    def opaque(
        self, call: ChannelCall, layouts: Sequence[Layout | None], detail: str
    ) -> list[Layout]:
        """Keep all channels around a call that is not understood."""
        shown = f"{call}: {detail}" if detail else str(call)
        for layout in layouts:
            if layout is not None:
                self.channels.freeze(layout, f"flows into {shown}")
        writes = [
            self.channels.new(call.name, (shape or (0,))[-1] or 0) for shape in call.shapes_out
        ]
        for layout in writes:
            self.channels.freeze(layout, f"comes from {shown}")
        known = self.records.get(id(call.layer))
        if known is not None:
            # Understood when it was called first: its weights must not change under this call.
            self.channels.freeze(np.concatenate([known.reads, known.writes]), f"passes {shown}")
        weights = getattr(call.layer, "weights", [])
        if weights:
            reads = next((w for w in layouts if w is not None), np.array([], dtype=np.intp))
            record = LayerRecord(call.name, call.kind, call.layer, reads, writes[0])
            self.records.setdefault(id(call.layer), record)
            self.products.append(Product(id(call.layer), _estimate(call, weights)))
        return writes


@dataclass(frozen=True)
class Sketch:
    """A record's weights and settings, before the channels it writes are known."""

    weights: tuple[SlicedWeight, ...] = ()
    settings: tuple[tuple[str, Layout], ...] = ()


def _estimate(call: ChannelCall, weights: Sequence[Any]) -> int:
    """Estimate an unknown layer: each matrix once per position; an embedding looks up.

    Exact for grouped convolutions, whose positions are those of their output.
    """
    if call.kind == "Embedding" or not call.shapes_in:
        return 0
    matrices = sum(int(math.prod(w.shape)) for w in weights if len(w.shape) > 1)
    convolves = hasattr(call.layer, "kernel_size")
    return matrices * call.positions((call.shapes_out if convolves else call.shapes_in)[0])


def follow(
    graph: ChannelGraph, rule: Callable[[Walk, ChannelCall, list[Layout]], list[Layout] | str]
) -> Walk:
    """Walk a model's calls; ``rule`` returns a call's output layouts, or why it has none."""
    walk = Walk()
    layouts: dict[int, Layout | None] = {}
    makers: dict[int, Any] = {}
    for call in graph.calls:
        reads = [layouts[number] for number in call.inputs]
        if call.inputs:
            walk.origins.setdefault(id(call.layer), makers.get(call.inputs[0]))
        known = [layout for layout in reads if layout is not None]
        answer: list[Layout] | str = "its channels are not fixed"
        if len(known) == len(reads):
            answer = rule(walk, call, known)
        if isinstance(answer, str):
            answer = walk.opaque(call, reads, answer)
        for number, layout, shape in zip(call.outputs, answer, call.shapes_out, strict=True):
            layouts[number] = layout if len(shape) > 1 and shape[-1] == len(layout) else None
            makers[number] = call.layer
    for number in graph.outputs:
        final = layouts[number]
        if final is not None:
            walk.channels.freeze(final, "is an output of the model")
    return walk
