"""Layer by layer, how far one file's tensors are from another's, and where it begins.

A tensor's noise, ``share = Σ (l - r)² / Σ l²`` (its SQNR is ``-10·log10(share)`` dB), says little
about the operator that made it: noise adds up on the way. So two things are said of an operator::

    added = share of its output - the largest share of its inputs
    fall  = 10·log10(share of its output / allowed)                      dB
    allowed = the largest share of its inputs + rounding of its weights and of its output

Rounding is ``step² / 12`` for each value, over the signal, and no more than sound eight bits
leave. What an operator *adds* ranks it: how much is lost there, by rounding or by a fault. Its
*fall* is what sound rounding does not explain: values that clip, a step far too wide, another
kernel, other weights. Of several inputs the worst one counts, as an operator is not to blame for
what it was handed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.errors import ModelError
from edgekit.evaluation.layers import weights
from edgekit.evaluation.layers.flow import Flow, flow
from edgekit.evaluation.layers.match import How, Match, Matching, match
from edgekit.evaluation.layers.sums import EQUAL, Sums
from edgekit.evaluation.layers.trace import Feeds, LayerSide, Traced, opened, traced
from edgekit.types import Json, Measurement, Preprocess

ITEMS = 32
# dB above which two tensors differ as float32 sums in another order do: 24 bits are 144 dB, less
# what a thousand terms lose.
EXACT = 100.0
LEAST = 10 ** (-EXACT / 10)
# dB that rounding to eight bits leaves of a tensor whose largest value is 14 times its root mean
# square: 10·log10(12 · 128² / 14²).
SOUND = 30.0
# Their weights lie in other graphs.
BODIES = frozenset({"WHILE", "IF", "CALL"})
# dB of a fall that is called one: ten times the noise that rounding and the inputs account for.
FALL = 10.0
TENFOLD = 10 ** (FALL / 10)


@dataclass(frozen=True)
class MatchedLayer:
    """One matched tensor, in the right file's execution order.

    ``operator`` writes it on the right, ``name`` is its name there; ``left`` and ``right`` are its
    indices in the main graphs; ``inputs`` the positions of the layers that the operator reads.
    ``sqnr`` is pooled over all values, ``channel_sqnr`` the median channel's; both dB, as
    ``fall``; ``added`` is a share of the signal. ``broken`` says that the right tensor is NaN or
    infinite where the left one is not; ``absorbed`` that the noise of all that is
    computed from it is far less and explained without it, as where this is a small addend.
    """

    operator: str
    name: str
    left: int
    right: int
    inputs: tuple[int, ...]
    how: How
    sqnr: Measurement
    channel_sqnr: Measurement
    max_abs_error: Measurement
    mean_abs_error: Measurement
    cosine: Measurement
    added: Measurement
    fall: Measurement
    broken: bool = False
    absorbed: bool = False

    @property
    def falls(self) -> bool:
        """Whether something begins to go wrong here."""
        return self.broken or (self.fall.value is not None and self.fall.value > FALL)


@dataclass(frozen=True)
class LayerParity:
    """Two files on two devices, layer by layer, over ``n`` items.

    ``left_only`` and ``right_only`` are operators without a counterpart; ``missing`` tensors that a
    runtime did not keep, with the reason; ``notes`` what else limits the figures.
    """

    left: str
    right: str
    n: int
    layers: tuple[MatchedLayer, ...]
    left_only: tuple[str, ...]
    right_only: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def first_fall(self) -> MatchedLayer | None:
        """The first layer that falls by more than :data:`FALL` dB, or is broken; not absorbed."""
        return next((one for one in self.layers if one.falls and not one.absorbed), None)

    @property
    def ranked(self) -> tuple[MatchedLayer, ...]:
        """Layers by what their operators add, most first: broken ones first, absorbed ones last."""
        adding = [layer for layer in self.layers if layer.broken or (layer.added.value or 0.0) > 0]
        key = lambda layer: (-layer.broken, layer.absorbed, -(layer.added.value or 0.0))  # noqa: E731
        return tuple(sorted(adding, key=key))

    def to_json(self) -> Mapping[str, Json]:
        """Return everything as JSON types; ``first_fall`` and ``ranked`` are positions in
        ``layers``.
        """
        places = {id(layer): at for at, layer in enumerate(self.layers)}
        fields = {at.name: getattr(self, at.name) for at in dataclasses.fields(self)}
        first = self.first_fall
        return {
            **fields,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            "first_fall": places[id(first)] if first else None,
            "ranked": [places[id(layer)] for layer in self.ranked],
        }


def layer_parity(
    left: LayerSide,
    right: LayerSide,
    inputs: Mapping[str, Path],
    index: Path,
    preprocess: Preprocess,
    *,
    folder: Path,
    items: int = ITEMS,
) -> LayerParity:
    """Compare the layers of two ``.tflite`` files, the reference on the left.

    ``inputs`` are raw ``.npy`` files by name, ``index`` a ``.npy`` of the items to take, of which
    the first ``items`` are run one by one. ``folder`` holds at most 256 MB of tensors at a time
    (or those of one item), and nothing afterwards. Raises :class:`DeviceError` where a device does
    not give the tensors inside a model, :class:`RunnerError` where it cannot run a file, and
    :class:`ModelError` where a file cannot be read, or no layer is in both.
    """
    sides = opened(left), opened(right)
    matching = match(sides[0].file, sides[1].file)
    if not any(pair.operator != "INPUT" for pair in matching.tensors):
        message = f"no layer of {right.path.name} has a counterpart in {left.path.name}"
        raise ModelError("EK-LAYERS-003", message, "they are different networks")
    pairs = matching.tensors
    tensors = sorted({pair.left for pair in pairs}), sorted({pair.right for pair in pairs})
    count = min(items, len(np.load(index, mmap_mode="r")))
    sums = [Sums() for _ in pairs]
    feeds = Feeds(inputs, index, preprocess)
    for first, (ours, theirs) in traced((left, right), sides, tensors, feeds, count, folder):
        for each, total in zip(pairs, sums, strict=True):
            if each.left in ours and each.right in theirs:
                total.add(ours[each.left], theirs[each.right], first)
    return _result(left, right, sides, matching, sums, count)


def _result(
    left: LayerSide,
    right: LayerSide,
    sides: tuple[Traced, Traced],
    matching: Matching,
    sums: list[Sums],
    count: int,
) -> LayerParity:
    layers = tuple(_layers(matching.tensors, sums, sides))
    # The last part that tells them apart: build/ holds a model.tflite for each precision.
    parts = 2 if left.path.name == right.path.name else 1
    titles = ["/".join(side.path.parts[-parts:]) for side in (left, right)]
    return LayerParity(
        left=f"{titles[0]} on {left.device.name}",
        right=f"{titles[1]} on {right.device.name}",
        n=count,
        layers=layers,
        left_only=matching.left_only,
        right_only=matching.right_only,
        missing=tuple(
            f"{trace.file.graphs[0].tensors[at].name} ({word}): {reason}"
            for word, trace in zip(("left", "right"), sides, strict=True)
            for at, reason in sorted(trace.missing.items())
        ),
        notes=tuple(_notes((left, right), sides)),
    )


def _layers(
    pairs: tuple[Match, ...], sums: list[Sums], sides: tuple[Traced, Traced]
) -> Iterator[MatchedLayer]:
    flows = flow(sides[0].file), flow(sides[1].file)
    shares: list[float | None] = []
    rounding: list[float] = []
    for pair, total in zip(pairs, sums, strict=True):
        if not total.n:
            total.flaw = sides[0].missing.get(pair.left) or sides[1].missing.get(pair.right, "")
        shares.append(_share(total.sqnr()))
        rounding.append(_rounding(pair, total, sides, flows))
    absorbed = _absorbed(pairs, shares, rounding)
    for at, (pair, total) in enumerate(zip(pairs, sums, strict=True)):
        added, fall = _judged(total, shares[at], _handed(pair.inputs, shares), rounding[at])
        yield MatchedLayer(
            pair.operator,
            pair.name,
            pair.left,
            pair.right,
            pair.inputs,
            pair.how,
            sqnr=total.sqnr(),
            channel_sqnr=total.channel_sqnr(),
            max_abs_error=total.max_abs_error(),
            mean_abs_error=total.mean_abs_error(),
            cosine=total.mean_cosine(),
            added=added,
            fall=fall,
            broken=total.broken,
            absorbed=at in absorbed,
        )


def _absorbed(
    pairs: tuple[Match, ...], shares: list[float | None], rounding: list[float]
) -> set[int]:
    """Return positions of tensors whose readers' noise is explained by what else they read."""
    readers: dict[int, list[int]] = {}
    for at, one in enumerate(pairs):
        for source in one.inputs:
            readers.setdefault(source, []).append(at)
    absorbed: set[int] = set()

    def explained(reader: int, source: int) -> bool:
        others = tuple(at for at in pairs[reader].inputs if at != source)
        if not others:
            return reader in absorbed
        share, handed, own = shares[reader], _handed(others, shares), shares[source]
        if share is None or handed is None or own is None:
            return False
        # Two addends that are wrong for one reason would explain each other's noise.
        return share <= min((handed + rounding[reader]) * TENFOLD, own / TENFOLD)

    for at in reversed(range(len(pairs))):
        if readers.get(at) and all(explained(reader, at) for reader in readers[at]):
            absorbed.add(at)
    return absorbed


def _share(measured: Measurement) -> float | None:
    """Return noise over signal, at least that of :data:`EXACT`; None where it is not to be had."""
    if measured.value is None:
        return LEAST if measured.reason == EQUAL else None
    return max(LEAST, float(10 ** (-measured.value / 10)))


def _handed(inputs: tuple[int, ...], shares: list[float | None]) -> float | None:
    """Return the largest share of what an operator reads; None where nothing is known of it."""
    if not inputs:
        return LEAST
    return max((share for share in (shares[at] for at in inputs) if share), default=None)


def _judged(
    total: Sums, share: float | None, handed: float | None, rounding: float
) -> tuple[Measurement, Measurement]:
    """Compute the noise that an operator adds, and its fall."""
    if share is None or handed is None:
        reason = total.sqnr().reason or "nothing is known of what the operator reads"
        return Measurement.unavailable("1", reason), Measurement.unavailable("dB", reason)
    fall = 10 * math.log10(share / (handed + rounding))
    return Measurement(share - handed, "1", n=total.n), Measurement(fall, "dB", n=total.n)


def _rounding(
    pair: Match, total: Sums, traces: tuple[Traced, Traced], flows: tuple[Flow, Flow]
) -> float:
    """Return noise over signal that sound rounding of the weights and the output accounts for."""
    sound = 10 ** (-SOUND / 10)
    if pair.operator in BODIES:
        return sound
    share = 0.0
    sides = [pair.left, pair.right]
    kept = [side.weights(at) for side, at in zip(flows, sides, strict=True)]
    contents = [
        {k: side.file.data(side.file.graphs[0].tensors[at]) for k, at in own.items()}
        for side, own in zip(traces, kept, strict=True)
    ]
    for side, at, own in zip(traces, sides, kept, strict=True):
        graph = side.file.graphs[0]
        share += total.rounding(graph.tensors[at].scale)
        # The same weights on both sides round alike.
        if contents[0] != contents[1]:
            values = [(weights.real(side.file, graph, graph.tensors[k]), k) for k in own.values()]
            share += max(
                (weights.rounding(v, graph.tensors[k]) for v, k in values if v is not None),
                default=0.0,
            )
    return min(share, sound)


def _notes(sides: tuple[LayerSide, LayerSide], traces: tuple[Traced, Traced]) -> Iterator[str]:
    for word, side, trace in zip(("left", "right"), sides, traces, strict=True):
        if not trace.alike:
            yield (
                f"{word}: {side.device.name} answers otherwise while tensors are kept,"
                f" by up to {trace.difference:.3g}: its layers are those of other kernels"
            )
    if any(len(trace.file.graphs) > 1 for trace in traces):
        yield "the main graphs are compared: loops and branches are one operator each"
