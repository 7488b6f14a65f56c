"""Quantize by a recipe of int8 and float32 with TensorFlow, for old runtimes. In the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.converters import flatbuffer
from edgekit.converters.quantization import post_training
from edgekit.converters.quantization.recipe import FLOAT, RecipeOperator, Rule, resolve
from edgekit.errors import ConversionError

SUPPORTED = (FLOAT, "int8")


def by_tensorflow(rules: Sequence[Rule]) -> bool:
    """Tell whether TensorFlow's quantizer can make all that a recipe asks for."""
    return all(rule.precision in SUPPORTED for rule in rules)


def quantize(
    model: Path, rules: Sequence[Rule], calibrated: Path, per_channel: bool, folder: Path
) -> Mapping[str, Any]:
    """Write ``model.tflite`` into ``folder``: float in and out, each operator by its last rule.

    ``model`` is the float32 file that ``calibrated`` was made of. The facts are ``operators``,
    ``[kind, name, precision]`` each. Raises :class:`ConversionError`.
    """
    chosen = resolve(flatbuffer.read(model), rules, _is_supported)
    if all(precision == FLOAT for _, precision in chosen):
        hint = "give a rule that makes some operators int8"
        raise ConversionError("EK-CONVERT-013", "the recipe leaves every operator float32", hint)
    float_names = {one.name for one, precision in chosen if precision == FLOAT}
    post_training.quantize(
        calibrated,
        folder,
        inputs="float32",
        outputs="float32",
        per_channel=per_channel,
        keep_float=sorted(float_names & _main(calibrated)),
    )
    return {"operators": [[one.kind, one.name, precision] for one, precision in chosen]}


def _is_supported(_: RecipeOperator, precision: str) -> bool:
    return precision in SUPPORTED


def _main(calibrated: Path) -> set[str]:
    """Return the first outputs of the main graph's operators, by which they can be kept float."""
    graph = flatbuffer.read(calibrated).graphs[0]
    return {graph.tensors[node.outputs[0]].name for node in graph.nodes if node.outputs}
