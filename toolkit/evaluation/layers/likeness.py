"""Whether two files hold the same weights, or are two different networks.

The weights of matched operators are compared as real numbers, by Pearson's correlation. Of ``n``
independent values it is 0 with a standard deviation of ``1/√n``; of a copy that was rounded to a
step it is ``√(s / (s + step²/12))``, where ``s`` is the variance. Equalisation and folding multiply
the channels by positive factors: what correlates badly as it is, is compared again with its rows
and columns scaled to the same power on both sides (as R. Sinkhorn and P. Knopp, "Concerning
nonnegative matrices and doubly stochastic matrices", 1967, scale a matrix to given sums).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgekit.converters.flatbuffer import Tensor, TFLiteFile
from edgekit.evaluation.layers import weights
from edgekit.evaluation.layers.flow import Flow, FlowStep, flow
from edgekit.evaluation.layers.match import Matching, match
from edgekit.evaluation.layers.weights import Doubles
from edgekit.types import Json

Verdict = Literal["same weights", "different weights", "different structure", "not known"]

# A correlation of a copy, beside what rounding explains.
ALIKE = 0.99
# Fewer values say little: of 64 independent ones, 0.5 is four standard deviations.
FEWEST = 64
UNLIKE = 0.5
# The share of all weights that must have a counterpart.
COVERED = 0.9
ROUNDS = 20


@dataclass(frozen=True)
class WeightLikeness:
    """The weights of one matched operator: ``values`` of them, and their ``correlation``.

    ``expected`` is the least that rounding explains; ``scaled`` says that it holds up to a positive
    factor for each channel, ``reordered`` that the channels agree in another order.
    """

    operator: str
    name: str
    values: int
    correlation: float
    expected: float
    scaled: bool = False
    reordered: bool = False

    @property
    def alike(self) -> bool:
        return self.correlation >= self.expected

    @property
    def unlike(self) -> bool:
        return self.correlation < UNLIKE


@dataclass(frozen=True)
class Likeness:
    """Whether two files are one network: the verdict, its reason, and each operator's weights.

    ``covered`` is the share of all weights (of the file that has more) that have a counterpart.
    """

    verdict: Verdict
    reason: str
    layers: tuple[WeightLikeness, ...]
    covered: float

    def to_json(self) -> Mapping[str, Json]:
        return dataclasses.asdict(self)


def same_network(left: TFLiteFile, right: TFLiteFile) -> Likeness:
    """Compare the weights of two files, whatever their precisions, graph by graph.

    ``same weights`` when all agree as a rounded copy does; ``different weights`` when more than
    half of the values belong to weights that correlate below 0.5; ``different structure`` when less
    than 90 % of the values have a counterpart of the same shape; else ``not known``: pruned,
    clustered and fine-tuned copies lie there, and copies with a layer trained anew.
    """
    pairs = [
        ((flow(left, number), flow(right, number)), match(left, right, number))
        for number in range(min(len(left.graphs), len(right.graphs)))
    ]
    layers = tuple(layer for pair in pairs for layer in _layers((left, right), *pair))
    networks = ([flow(file, n) for n in range(len(file.graphs))] for file in (left, right))
    most = max(sum(_values(each, each.steps) for each in side) for side in networks)
    sparse = sum(_sparse(*pair) for pair in pairs)
    if sparse > (1 - COVERED) * most:
        reason = f"{sparse / most * 100:.0f} % of the weights are stored sparsely"
        return Likeness("not known", reason, layers, 0.0)
    if most == 0:
        reason = f"neither file has an operator with {FEWEST} weights or more"
        return Likeness("not known", reason, layers, 0.0)
    covered = sum(layer.values for layer in layers) / most
    if not layers or covered < COVERED:
        share = f"{covered * 100:.0f} % of the weights have a counterpart of the same shape"
        named = [line for pair in pairs for line in _others(*pair)]
        reason = f"{share}: {'; '.join(named[:3])}" if named else share
        return Likeness("different structure", reason, layers, covered)
    return Likeness(*_verdict(layers), layers, covered)


def _sparse(flows: tuple[Flow, Flow], matching: Matching) -> int:
    """Count matched weights that one of the files stores sparsely: they cannot be read here."""
    count = 0
    for a, b in matching.operators:
        for position in a.constants.keys() & b.constants.keys():
            tensors = [
                network.graph.tensors[step.constants[position]]
                for network, step in zip(flows, (a, b), strict=True)
            ]
            if any(tensor.sparse for tensor in tensors):
                count += math.prod(tensors[0].shape)
    return count


def _others(flows: tuple[Flow, Flow], matching: Matching) -> Iterator[str]:
    """Describe the operators with weights that one file lacks, or that differ in shape."""
    for side, (word, network) in enumerate(zip(("left", "right"), flows, strict=True)):
        paired = {(pair[side].node, pair[side].fused) for pair in matching.operators}
        for step in network.steps:
            if (step.node, step.fused) not in paired and _values(network, [step]):
                yield f"{network.described(step)} only {word}"
    for a, b in matching.operators:
        shapes = flows[0].constant_shapes(a), flows[1].constant_shapes(b)
        if shapes[0] != shapes[1]:
            yield f"{flows[1].described(b)} {shapes[0]} and {shapes[1]}"


def _verdict(layers: tuple[WeightLikeness, ...]) -> tuple[Verdict, str]:
    lowest = min(layers, key=lambda layer: layer.correlation)
    worst = f"the lowest is {lowest.correlation:.3f} ({lowest.operator} {lowest.name})"
    compared = sum(layer.values for layer in layers)
    unlike = sum(layer.values for layer in layers if layer.unlike)
    count = f"{len(layers)} constant{'s' if len(layers) != 1 else ''}"
    verb = "correlate" if len(layers) != 1 else "correlates"
    drifted = [layer for layer in layers if not layer.alike]
    if not drifted:
        return "same weights", f"{count} {verb} as copies do; {worst}"
    turned = [f"{layer.operator} {layer.name}" for layer in drifted if layer.reordered]
    if turned:
        return "not known", f"channels are in another order in {', '.join(turned[:3])}; {worst}"
    if unlike > compared / 2:
        typical = float(np.median([layer.correlation for layer in layers]))
        return "different weights", f"{count} {verb} by {typical:.2f} (median); {worst}"
    copies = "are not plain copies" if len(drifted) != 1 else "is not a plain copy"
    return "not known", f"{len(drifted)} of {count} {copies}; {worst}"


def _values(network: Flow, steps: Sequence[FlowStep]) -> int:
    """Count the weights of steps, in constants that are large enough to compare."""
    return sum(
        math.prod(network.graph.tensors[at].shape)
        for step in steps
        for at in step.constants.values()
        if _tells(network.graph.tensors[at])
    )


def _tells(tensor: Tensor) -> bool:
    integer = tensor.dtype in ("INT32", "INT64", "BOOL", "STRING")
    return len(tensor.shape) > 1 and math.prod(tensor.shape) >= FEWEST and not integer


def _layers(
    files: tuple[TFLiteFile, TFLiteFile], flows: tuple[Flow, Flow], matching: Matching
) -> Iterator[WeightLikeness]:
    for steps in matching.operators:
        for position in sorted(steps[0].constants.keys() & steps[1].constants.keys()):
            layer = _compared(files, flows, steps, position)
            if layer is not None:
                yield layer


def _compared(
    files: tuple[TFLiteFile, TFLiteFile],
    flows: tuple[Flow, Flow],
    steps: tuple[FlowStep, FlowStep],
    position: int,
) -> WeightLikeness | None:
    tensors = [
        network.graph.tensors[step.constants[position]]
        for network, step in zip(flows, steps, strict=True)
    ]
    if not all(map(_tells, tensors)) or tensors[0].shape != tensors[1].shape:
        return None
    values = [
        weights.real(file, network.graph, tensor)
        for file, network, tensor in zip(files, flows, tensors, strict=True)
    ]
    a, b = values
    if a is None or b is None:
        return None
    plain = weights.correlation(a, b)
    if plain is None:
        return None
    expected = ALIKE * math.sqrt(_rounded(a, tensors[0]) * _rounded(b, tensors[1]))
    best, scaled, reordered = plain, False, False
    if plain < expected:
        rows = _rows(steps[0].kind, a), _rows(steps[0].kind, b)
        free = _scaled(*rows)
        if free is not None and free > best and (free >= expected or plain >= UNLIKE):
            best, scaled = free, True
        reordered = best < expected and (
            _reordered(*rows, expected) or _reordered(_columns(a), _columns(b), expected)
        )
    return WeightLikeness(
        operator=steps[1].kind,
        name=flows[1].short(steps[1]),
        values=a.size,
        correlation=best,
        expected=expected,
        scaled=scaled,
        reordered=reordered,
    )


def _rounded(values: Doubles, tensor: Tensor) -> float:
    """Return the share of a constant's variance that is not rounding, at least a tenth."""
    variance = float(values.var()) * values.size
    noise = weights.rounding(values, tensor) * float(np.sum(np.square(values)))
    return max(0.1, 1 - noise / variance) if variance > 0 else 1.0


def _rows(kind: str, values: Doubles) -> Doubles:
    """Return weights as a matrix of output channels by all else, or of all else where depthwise."""
    if kind == "DEPTHWISE_CONV_2D":
        return np.moveaxis(values, -1, 0).reshape(values.shape[-1], -1)
    return values.reshape(values.shape[0], -1)


def _columns(values: Doubles) -> Doubles:
    """Return weights as a matrix of input channels by all else."""
    return np.moveaxis(values, -1, 0).reshape(values.shape[-1], -1)


def _scaled(left: Doubles, right: Doubles) -> float | None:
    """Return the correlation with rows and columns of the same power; None where too little is
    left.

    Each row and column takes a value away: of a matrix with few more, anything would agree.
    """
    if left.size < FEWEST or left.size < 4 * sum(left.shape):
        return None
    return weights.correlation(_balanced(left), _balanced(right))


def _balanced(values: Doubles) -> Doubles:
    scaled = values.copy()
    for _ in range(ROUNDS):
        for axis in (1, 0):
            power = np.sqrt(np.mean(np.square(scaled), axis=axis, keepdims=True))
            scaled = scaled / np.where(power > 0, power, 1.0)
    return scaled


def _reordered(left: Doubles, right: Doubles, expected: float) -> bool:
    """Tell whether the rows agree in another order."""
    lengths = [np.linalg.norm(one, axis=1, keepdims=True) for one in (left, right)]
    units = [one / np.where(n > 0, n, 1) for one, n in zip((left, right), lengths, strict=True)]
    order = np.argmax(units[1] @ units[0].T, axis=1)
    if len(set(order.tolist())) < len(order) or bool((order == np.arange(len(order))).all()):
        return False
    found = weights.correlation(left[order], right)
    return found is not None and found >= expected
