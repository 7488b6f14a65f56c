"""The precisions: how each is made, and what its file must then hold.

Source: TensorFlow's guide "Post-training quantization"; for 4-bit weights the recipes of
ai-edge-quantizer. A new precision is one row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.converters import precision_checks as check
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.quantization import from_float
from edgekit.converters.quantization.recipe import Rule
from edgekit.types import Conversion

RECIPE, FLOAT = "mixed", "float32"


@dataclass(frozen=True)
class Precision:
    """One precision: what it is, whether it calibrates, how it is made, the check of its file.

    ``configure(converter)`` sets a TFLiteConverter; without it the file is made from the float32
    one by ``rules``, or for ``mixed`` by the project's. ``from_float`` makes it of a float
    ``.tflite`` that has no such rules. ``problem(file)`` says what is
    wrong with a file that claims this precision, or nothing. ``integer`` means integer throughout
    but for the edges, ``hybrid`` integer weights under float activations.
    """

    title: str
    calibrated: bool
    problem: check.Check
    configure: Callable[[Any], None] | None = None
    from_float: from_float.FromFloat | None = None
    rules: tuple[Rule, ...] = ()
    integer: bool = False
    hybrid: bool = False


def _float32(converter: Any) -> None:
    converter.optimizations = []


def _float16(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _integer(edges: str, operators: str) -> Callable[[Any], None]:
    """Build the settings of an integer precision, from the dtype of its inputs and outputs and
    TensorFlow's operator set.
    """

    def configure(converter: Any) -> None:
        import tensorflow as tf

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, operators)]
        converter.inference_input_type = getattr(tf, edges)
        converter.inference_output_type = getattr(tf, edges)

    return configure


INT8 = "TFLITE_BUILTINS_INT8"
INT16 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
# Where an operator has no kernel for 4-bit weights, it gets 8-bit ones.
INT4 = (Rule("int8-weights"), Rule("int4"))
BLOCK32 = (*INT4, Rule("int4-block32"))

PRECISIONS: Mapping[str, Precision] = {
    "float32": Precision("32-bit float", False, check.float32_problem, _float32, from_float.copied),
    "float16": Precision(
        "16-bit float weights",
        False,
        check.float16_problem,
        _float16,
        from_float.by_rule("float16"),
    ),
    "dynamic": Precision(
        "int8 weights, float activations",
        False,
        check.dynamic_problem,
        _dynamic,
        from_float.by_rule("dynamic"),
        hybrid=True,
    ),
    "int8": Precision(
        "int8 throughout, in and out",
        True,
        check.integer_problem("INT8", "INT8"),
        _integer("int8", INT8),
        from_float.in_integers("int8"),
        integer=True,
    ),
    "int8-float-io": Precision(
        "int8 throughout, float in and out",
        True,
        check.integer_problem("FLOAT32", "INT8"),
        _integer("float32", INT8),
        from_float.in_integers("float32"),
        integer=True,
    ),
    "uint8-io": Precision(
        "int8 throughout, uint8 in and out",
        True,
        check.integer_problem("UINT8", "INT8"),
        _integer("uint8", INT8),
        from_float.in_integers("uint8"),
        integer=True,
    ),
    "int16x8": Precision(
        "int16 activations, int8 weights, int16 in and out",
        True,
        check.integer_problem("INT16", "INT16"),
        _integer("int16", INT16),
        from_float.int16,
        integer=True,
    ),
    "int4": Precision(
        "4-bit weights, computed in float", False, check.plain_int4_problem, rules=INT4
    ),
    "int4-block32": Precision(
        "4-bit weights with a scale for every 32", False, check.int4_block32_problem, rules=BLOCK32
    ),
    RECIPE: Precision("a precision per operator, by [[convert.mixed]]", True, check.mixed_problem),
}


def precision_in(file: TFLiteFile) -> str:
    """Return the first precision whose check a file passes; ``mixed`` if it passes none."""
    tensors = [tensor for graph in file.graphs for tensor in graph.tensors]
    real = all(t.quantization is None or t.dtype == "FLOAT32" for t in tensors)
    names = (name for name in PRECISIONS if real or name != FLOAT)
    return next((name for name in names if not PRECISIONS[name].problem(file)), RECIPE)


def profile_of(precision: str, conversion: Conversion) -> str:
    """Return the name of the target's profile if it changes how this precision is made, else
    nothing.
    """
    row = PRECISIONS[precision]
    coarser = conversion.granularity == "per-tensor" and (row.hybrid or row.integer)
    dense = row.hybrid and not conversion.per_channel_dense
    return conversion.profile if coarser or dense else ""


def refusal(precision: str, conversion: Conversion) -> str:
    """Say why a target takes no file of this precision; empty if it does."""
    if precision in conversion.refuses:
        return conversion.refuses[precision]
    if conversion.operator_set == "int8" and not PRECISIONS[precision].integer:
        return "the target computes in integers only"
    return ""
