"""A recipe of precisions per operator: global, by kind, by name; the last rule that fits wins.

Source: the three scopes of ``coremltools.optimize`` (global, operator type, operator name).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgekit.converters.flatbuffer import Graph, Node, TFLiteFile
from edgekit.errors import ConversionError, ProjectError, did_you_mean

FLOAT = "float32"
CALIBRATED = ("int8", "int16x8")
# The precisions of a rule, as the project file names them, with their descriptions.
RULE_PRECISIONS: Mapping[str, str] = {
    FLOAT: "as it is",
    "float16": "weights in float16, computed in float",
    "int8": "activations and weights in int8",
    "int16x8": "activations in int16, weights in int8",
    "dynamic": "weights in int8, activations turned to int8 as it runs",
    "int8-weights": "weights in int8, computed in float",
    "int4": "weights in int4, computed in float",
    "int4-block32": "weights in int4 with a scale for every 32, activations turned to int8",
}


@dataclass(frozen=True)
class Rule:
    """One rule: a precision for every operator, for a kind (``CONV_2D``), or for a name.

    ``name`` is a regular expression that is searched for in the name of the first output.
    """

    precision: str
    operator: str = ""
    name: str = ""

    def fits(self, operator: RecipeOperator) -> bool:
        kind = self.operator in ("", operator.kind)
        return kind and (not self.name or re.search(self.name, operator.name) is not None)

    @property
    def everywhere(self) -> bool:
        return not self.operator and not self.name


@dataclass(frozen=True)
class RecipeOperator:
    """An operator that a recipe can name: its kind, the names of its outputs, its place."""

    kind: str
    outputs: tuple[str, ...]
    node: Node
    graph: Graph

    @property
    def name(self) -> str:
        return self.outputs[0]


IsSupported = Callable[[RecipeOperator, str], bool]


def operators(file: TFLiteFile) -> list[RecipeOperator]:
    """List the operators of a file in order, those inside loops and branches too."""
    return [
        RecipeOperator(
            node.operator, tuple(graph.tensors[i].name for i in node.outputs), node, graph
        )
        for graph in file.graphs
        for node in graph.nodes
        if node.outputs
    ]


def check_rules(rules: Sequence[Rule]) -> None:
    """Raise :class:`ProjectError` for an unknown precision, or a broken pattern."""
    for rule in rules:
        if rule.precision not in RULE_PRECISIONS:
            known = ", ".join(RULE_PRECISIONS)
            guess = did_you_mean(rule.precision, RULE_PRECISIONS)
            message = f"[[convert.mixed]]: unknown precision {rule.precision!r}{guess}"
            raise ProjectError("EK-PROJECT-004", message, f"known: {known}")
        try:
            re.compile(rule.name)
        except re.error as error:
            message = f"[[convert.mixed]]: name {rule.name!r} is not a regular expression"
            raise ProjectError("EK-PROJECT-012", message, str(error)) from error


def resolve(
    file: TFLiteFile, rules: Sequence[Rule], is_supported: IsSupported
) -> list[tuple[RecipeOperator, str]]:
    """Choose the precision of each operator: that of the last rule that it fits and supports.

    ``is_supported(operator, precision)`` says what it can have; without a rule it stays float32.
    Raises :class:`ConversionError` if a rule names a kind or a name that the file does not hold,
    or a precision that none of its operators can have.
    """
    candidates = operators(file)
    for rule in rules:
        fitting = _fitting(rule, candidates)
        if not rule.everywhere and not any(is_supported(one, rule.precision) for one in fitting):
            kinds = ", ".join(sorted({one.kind for one in fitting}))
            message = f"[[convert.mixed]]: {kinds} cannot be {rule.precision}"
            hint = "it has no kernel for it: choose another precision for this rule"
            raise ConversionError("EK-CONVERT-013", message, hint)
    return [(one, _last(one, rules, is_supported)) for one in candidates]


def _last(operator: RecipeOperator, rules: Sequence[Rule], is_supported: IsSupported) -> str:
    fitting = (rule.precision for rule in reversed(rules) if rule.fits(operator))
    return next((precision for precision in fitting if is_supported(operator, precision)), FLOAT)


def _fitting(rule: Rule, candidates: Sequence[RecipeOperator]) -> list[RecipeOperator]:
    kinds = sorted({one.kind for one in candidates})
    if rule.operator and rule.operator not in kinds:
        guess = did_you_mean(rule.operator, kinds)
        message = f"[[convert.mixed]]: the model has no operator {rule.operator!r}{guess}"
        raise ConversionError("EK-CONVERT-011", message, f"it has: {', '.join(kinds)}")
    fitting = [one for one in candidates if rule.fits(one)]
    if not fitting:
        among = [one.name for one in candidates if rule.operator in ("", one.kind)]
        guess = did_you_mean(rule.name, [p for name in among for p in re.split("[/;]", name)])
        message = f"[[convert.mixed]]: no operator's output is called like {rule.name!r}{guess}"
        raise ConversionError("EK-CONVERT-012", message, "\n".join(_some(among)))
    return fitting


def _some(names: Sequence[str], most: int = 8) -> Iterator[str]:
    yield f"outputs are called: {', '.join(names[:most])}{' …' if len(names) > most else ''}"
