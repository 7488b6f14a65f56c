"""Tensors of two files that hold the same thing, matched by how the data flows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.inspection.difference import aligned
from edgekit.evaluation.layers import weights
from edgekit.evaluation.layers.flow import Flow, FlowStep, flow

How = Literal["identity", "graph", "order"]

# With a constant, or none: converters compute these into the layer before, or leave them out.
FOLDED = frozenset(
    {
        "ADD",
        "SUB",
        "MUL",
        "DIV",
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
        "RELU_0_TO_1",
    }
)
# Others put into a layer's own padding, or around it.
PASSED = frozenset({"PAD", "PADV2", "TRANSPOSE"})
COMMUTATIVE = frozenset({"ADD", "MUL", "MAXIMUM", "MINIMUM"})
# How many such operators in a row may be on one side only.
FARTHEST = 4
# Weights correlate like this only with a copy of themselves.
COPY = 0.9


@dataclass(frozen=True)
class Match:
    """One tensor on both sides, by index in the main graphs; ``operator`` writes the right one.

    ``inputs`` are the positions, in the same matching, of what that operator reads. ``how`` it was
    found: ``identity`` (two equal graphs), ``graph`` (the same operator on matched inputs), or
    ``order`` (the same operator at the same place of what was left).
    """

    operator: str
    name: str
    left: int
    right: int
    inputs: tuple[int, ...]
    how: How


@dataclass(frozen=True)
class Matching:
    """All matches in the right file's execution order, its inputs first.

    ``operators`` are pairs of left and right step (:class:`flow.FlowStep`); ``left_only`` and
    ``right_only`` are operators in words that the other side does not have.
    """

    tensors: tuple[Match, ...]
    operators: tuple[tuple[FlowStep, FlowStep], ...]
    left_only: tuple[str, ...] = ()
    right_only: tuple[str, ...] = ()


def match(left: TFLiteFile, right: TFLiteFile, graph: int = 0) -> Matching:
    """Match two files' graphs of one number: the main one, or the body of a loop.

    Both are walked from the inputs (paired by name, else by position). Operators are paired that
    are of one kind and read what is paired; fused activations count as operators. A MUL or ADD
    with a constant, an activation, a PAD or a TRANSPOSE may be on one side only. Where several fit
    equally, the shapes decide, then the weights, then names, then order. What cannot be reached
    like this is paired by kind, shape and order, and the walk goes on from there.
    """
    ours, theirs = flow(left, graph), flow(right, graph)
    if ours.graph == theirs.graph:
        own = {index: index for index in theirs.roots}
        pairs = tuple(zip(ours.steps, theirs.steps, strict=True))
        return Matching(tuple(_rows(theirs, ours, own, {}, everything=True)), pairs)
    walk = _GraphMatcher(left, right, ours, theirs)
    walk.run([_named_inputs(file, graph) for file in (left, right)])
    taken = set(walk.pairs.values())
    return Matching(
        tensors=tuple(_rows(theirs, ours, walk.value, walk.how)),
        operators=tuple((ours.steps[i], theirs.steps[j]) for j, i in sorted(walk.pairs.items())),
        left_only=tuple(ours.described(s) for n, s in enumerate(ours.steps) if n not in taken),
        right_only=tuple(
            theirs.described(s) for n, s in enumerate(theirs.steps) if n not in walk.pairs
        ),
    )


@dataclass(frozen=True)
class _Reach:
    """A left value that a right one may stand for: how far on, and whether it is the same thing."""

    slides: int
    folded: bool


class _GraphMatcher:
    """The state of one walk: right values by left value, and right steps by left step."""

    def __init__(self, left: TFLiteFile, right: TFLiteFile, ours: Flow, theirs: Flow) -> None:
        self.files, self.ours, self.theirs = (left, right), ours, theirs
        self.value: dict[int, int] = {}
        self.pairs: dict[int, int] = {}
        self.how: dict[int, How] = {}
        self._taken: set[int] = set()
        self._extra: set[int] = set()

    def run(self, inputs: list[Mapping[str, int]]) -> None:
        self._pair_inputs(*inputs)
        self._forward()
        while self._align():
            self._forward()

    def _pair_inputs(self, left: Mapping[str, int], right: Mapping[str, int]) -> None:
        if set(left) == set(right):
            self.value.update({right[name]: left[name] for name in right})
        else:
            sides = self.theirs.graph.inputs, self.ours.graph.inputs
            self.value.update(zip(*sides, strict=False))

    def _forward(self) -> None:
        for number, step in enumerate(self.theirs.steps):
            if number in self.pairs or number in self._extra:
                continue
            if not any(value in self.value for value in step.inputs):
                continue
            found = self._candidate(step)
            if found is not None:
                self._pair(found, number, "graph")
            elif step.kind in FOLDED | PASSED and len(step.inputs) == 1:
                self._extra.add(number)
                self._assign(step.outputs[0], self.value[step.inputs[0]], "graph")

    def _pair(self, left: int, right: int, how: How) -> None:
        a, b = self.ours.steps[left], self.theirs.steps[right]
        self.pairs[right] = left
        self._taken.add(left)
        for mine, other in zip(a.inputs, b.inputs, strict=False):
            # What was folded into the layer before on the right is behind it on the left.
            reach = self._reach(self.value[other]).get(mine) if other in self.value else None
            if reach is not None and reach.slides and reach.folded:
                self.value[other] = mine
        for mine, other in zip(a.outputs, b.outputs, strict=False):
            self._assign(other, mine, how)

    def _assign(self, right: int, left: int, how: How) -> None:
        self.value[right] = left
        self.how[right] = how

    def _reach(self, value: int) -> Mapping[int, _Reach]:
        """Return left values equal to ``value`` but for operators that the right may lack."""
        reached = {value: _Reach(0, True)}
        queue = deque([value])
        while queue:
            at = queue.popleft()
            for number in self.ours.readers.get(at, ()):
                step, here = self.ours.steps[number], reached[at]
                open_end = number not in self._taken and here.slides < FARTHEST
                if not open_end or len(step.inputs) != 1 or step.kind not in FOLDED | PASSED:
                    continue
                reached[step.outputs[0]] = _Reach(
                    here.slides + 1, here.folded and step.kind in FOLDED
                )
                queue.append(step.outputs[0])
        return reached

    def _candidate(self, step: FlowStep) -> int | None:
        """Return the left step that fits best, if any."""
        reaches = [self._reach(self.value[v]) if v in self.value else None for v in step.inputs]
        near = [v for reach in reaches if reach is not None for v in reach]
        scored = []
        for number in dict.fromkeys(n for v in near for n in self.ours.readers.get(v, ())):
            other = self.ours.steps[number]
            if number not in self._taken and other.kind == step.kind:
                score = self._score(other, step, reaches)
                if score is not None:
                    scored.append((score, number))
        if not scored:
            return None
        best = min(score for score, _ in scored)
        return self._untied([n for score, n in scored if score == best], step)

    def _score(
        self, left: FlowStep, right: FlowStep, reaches: list[Mapping[int, _Reach] | None]
    ) -> tuple[int, ...] | None:
        """Rate how badly a left step fits, 0 is best; None where it reads something else."""
        if len(left.inputs) != len(right.inputs) or len(left.outputs) != len(right.outputs):
            return None
        ordered = all(r is None or v in r for v, r in zip(left.inputs, reaches, strict=True))
        if not ordered and any(r is not None and not set(left.inputs) & set(r) for r in reaches):
            return None
        slides = sum(
            min(r[v].slides for v in left.inputs if v in r) for r in reaches if r is not None
        )
        return (
            sum(r is None for r in reaches),
            self._other_shapes(left, right),
            int(not ordered and right.kind not in COMMUTATIVE),
            slides,
        )

    def _other_shapes(self, left: FlowStep, right: FlowStep) -> int:
        outputs = [self.ours.shape(v) for v in left.outputs]
        if outputs != [self.theirs.shape(v) for v in right.outputs]:
            return 2
        return int(self.ours.constant_shapes(left) != self.theirs.constant_shapes(right))

    def _untied(self, numbers: list[int], step: FlowStep) -> int:
        """Return one of several steps that fit equally: by weights, then by name, then the
        first.
        """
        if len(numbers) == 1:
            return numbers[0]
        alike = {n: self._likeness(self.ours.steps[n], step) for n in numbers}
        best = max(numbers, key=lambda n: alike[n])
        if alike[best] > COPY:
            return best
        name = self.theirs.name(step.outputs[0])
        same = [n for n in numbers if self.ours.name(self.ours.steps[n].outputs[0]) == name]
        return (same or numbers)[0]

    def _likeness(self, left: FlowStep, right: FlowStep) -> float:
        """Return the lowest correlation of the constants of two steps; -1 where there are none."""
        correlations = [
            weights.correlation(*values)
            for values in constants(self.files, (self.ours, self.theirs), (left, right))
        ]
        return min(
            (correlation for correlation in correlations if correlation is not None), default=-1.0
        )

    def _align(self) -> bool:
        """Pair what the walk could not reach by kind, shapes and order; whether it found any."""
        left = [n for n in range(len(self.ours.steps)) if n not in self._taken]
        right = [
            n for n in range(len(self.theirs.steps)) if n not in self.pairs and n not in self._extra
        ]
        kinds = (
            [_key(self.ours, self.ours.steps[n]) for n in left],
            [_key(self.theirs, self.theirs.steps[n]) for n in right],
        )
        steps = list(aligned(*kinds))
        for i, j in steps:
            self._pair(left[i], right[j], "order")
        return bool(steps)


def constants(
    files: tuple[TFLiteFile, TFLiteFile], flows: tuple[Flow, Flow], steps: tuple[FlowStep, FlowStep]
) -> Iterator[tuple[weights.Doubles, weights.Doubles]]:
    """Yield constants of two paired steps at one position and of one size, dequantized."""
    for position in steps[0].constants.keys() & steps[1].constants.keys():
        values = [
            weights.real(file, one.graph, one.graph.tensors[step.constants[position]])
            for file, one, step in zip(files, flows, steps, strict=True)
        ]
        if values[0] is not None and values[1] is not None and values[0].size == values[1].size:
            yield values[0], values[1]


def _named_inputs(file: TFLiteFile, number: int) -> Mapping[str, int]:
    for signature in file.signatures:
        if signature.graph == number:
            return signature.inputs
    graph = file.graphs[number]
    return {graph.tensors[index].name: index for index in graph.inputs}


def _key(one: Flow, step: FlowStep) -> str:
    shapes = [one.shape(step.outputs[0]) if step.outputs else (), *one.constant_shapes(step)]
    return f"{step.kind} {shapes}"


def _rows(
    right: Flow,
    left: Flow,
    value: Mapping[int, int],
    how: Mapping[int, How],
    everything: bool = False,
) -> Iterator[Match]:
    """Return the tensors to compare, and what each is computed from."""
    places: dict[int, tuple[int, ...]] = {}
    final = _final(right, left, value)
    count = 0

    def row(operator: str, mine: int, other: int, inputs: tuple[int, ...], how: How) -> Match:
        nonlocal count
        places[other] = (count,)
        count += 1
        return Match(operator, right.name(other), mine, other, inputs, how)

    default: How = "identity" if everything else "graph"
    requantized = _requantized(left)
    for index in right.graph.inputs:
        if index in value:
            yield row("INPUT", value[index], index, (), default)
    for node in right.graph.nodes:
        live = [i for i in node.inputs if i in right.roots]
        inputs = tuple(sorted({place for i in live for place in places.get(i, ())}))
        for index in (i for i in node.outputs if i in right.roots):
            root = right.roots[index]
            places[index] = inputs
            if everything or index in final:
                mine = index if everything else value[index]
                yield row(node.operator, mine, index, inputs, how.get(index, default))
            elif node.operator == "QUANTIZE" and value.get(root, -1) >= 0:
                others = requantized.get(value[root], [])
                mine = others.pop(0) if others else value[root]
                if _size(left.shape(mine)) == _size(right.shape(index)):
                    yield row(node.operator, mine, index, inputs, how.get(root, default))


def _final(right: Flow, left: Flow, value: Mapping[int, int]) -> set[int]:
    """Return right tensors with a left one of the same size; of several with one, the last."""
    last: dict[int, int] = {}
    for step in right.steps:
        for index in step.outputs:
            mine = value.get(index, -1)
            if index >= 0 and mine >= 0 and _size(left.shape(mine)) == _size(right.shape(index)):
                last[mine] = index
    return set(last.values())


def _requantized(left: Flow) -> dict[int, list[int]]:
    """Return outputs of QUANTIZE operators by the value that they hold."""
    requantized: dict[int, list[int]] = {}
    for node in left.graph.nodes:
        index = node.outputs[0] if node.outputs else -1
        if node.operator == "QUANTIZE" and index in left.roots:
            requantized.setdefault(left.roots[index], []).append(index)
    return requantized


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for one in shape:
        size *= one
    return size
