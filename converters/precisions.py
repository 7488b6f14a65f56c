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
    wrong with a file that claims this precision, or nothing. ``hybrid`` means that TensorFlow puts
    integer weights under float activations.

    ``weights``, ``activations`` and ``edges`` are dtypes by the schema's names: of most weights, of
    what operators compute in, and of inputs and outputs; empty where rules decide.
    """

    title: str
    calibrated: bool
    problem: check.Check
    configure: Callable[[Any], None] | None = None
    from_float: from_float.FromFloat | None = None
    rules: tuple[Rule, ...] = ()
    hybrid: bool = False
    weights: str = "FLOAT32"
    activations: str = "FLOAT32"
    edges: str = "FLOAT32"

    @property
    def integer(self) -> bool:
        """Whether a file is integer throughout, but for its edges."""
        return self.activations.startswith("INT")


def _float32(converter: Any) -> None:
    converter.optimizations = []


def _float16(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]


INT8 = "TFLITE_BUILTINS_INT8"
INT16 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"


def _integer(
    title: str, edges: str, of_float: from_float.FromFloat, activations: str = "INT8"
) -> Precision:
    """Build the row of a precision that is integer throughout, with weights in int8."""

    def configure(converter: Any) -> None:
        import tensorflow as tf

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        operators = INT16 if activations == "INT16" else INT8
        converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, operators)]
        converter.inference_input_type = getattr(tf, edges.lower())
        converter.inference_output_type = getattr(tf, edges.lower())

    return Precision(
        title,
        True,
        check.integer_problem(edges, activations),
        configure,
        of_float,
        weights="INT8",
        activations=activations,
        edges=edges,
    )


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
        weights="FLOAT16",
    ),
    "dynamic": Precision(
        "int8 weights, float activations",
        False,
        check.dynamic_problem,
        _dynamic,
        from_float.by_rule("dynamic"),
        hybrid=True,
        weights="INT8",
    ),
    "int8": _integer("int8 throughout, in and out", "INT8", from_float.in_integers("int8")),
    "int8-float-io": _integer(
        "int8 throughout, float in and out", "FLOAT32", from_float.in_integers("float32")
    ),
    "uint8-io": _integer(
        "int8 throughout, uint8 in and out", "UINT8", from_float.in_integers("uint8")
    ),
    "int16x8": _integer(
        "int16 activations, int8 weights, int16 in and out", "INT16", from_float.int16, "INT16"
    ),
    "int4": Precision(
        "4-bit weights, computed in float",
        False,
        check.plain_int4_problem,
        rules=INT4,
        weights="INT4",
    ),
    "int4-block32": Precision(
        "4-bit weights with a scale for every 32",
        False,
        check.int4_block32_problem,
        rules=BLOCK32,
        weights="INT4",
    ),
    RECIPE: Precision(
        "a precision per operator, by [[convert.mixed]]",
        True,
        check.mixed_problem,
        weights="",
        activations="",
    ),
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
    if conversion.only and precision not in conversion.only:
        return conversion.because
    if conversion.operator_set == "int8" and not PRECISIONS[precision].integer:
        return "the target computes in integers only"
    return ""
