"""TensorFlow's own operators (Flex) and custom ones: which a model needs, and what they cost.

Source of the sizes: TensorFlow Lite guide "Select TensorFlow operators", section "Binary size".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgekit.converters.custom_operators import unsupported_operators
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.errors import ConversionError

PREFIX = "Flex"
COST = (
    "an app carries TensorFlow's kernels for it: for 32-bit Arm Android the guide gives an APK of"
    " 8.0 MB with them, 561 kB without"
)
NOWHERE = (
    "the wheels of ai-edge-litert and tflite-runtime have no Flex delegate: it is linked into an"
    " app (Maven tensorflow-lite-select-tf-ops, CocoaPod TensorFlowLiteSelectTfOps)"
)
SIGN_OF_ZERO = (
    "Keras 3's argmax and argmin need BitwiseAnd in a SavedModel: give the .keras or .h5 file that"
    " it was made from, which is exported without; else"
)

# An operator on half precision, as the converter lists it among those that TFLite lacks.
HALF = re.compile(r"^\s*tf\.\w+\(.*xb?f16>", re.MULTILINE)


def flex_operators(file: TFLiteFile) -> tuple[str, ...]:
    """Return TensorFlow's own operators in a file, by their names in TensorFlow."""
    return tuple(name.removeprefix(PREFIX) for name in _custom(file) if name.startswith(PREFIX))


def custom_operators(file: TFLiteFile) -> tuple[str, ...]:
    """Return a file's custom operators, without TensorFlow's own and those that LiteRT has kernels
    for.
    """
    candidates = (name for name in _custom(file) if not name.startswith(PREFIX))
    return unsupported_operators(candidates, "litert")


def _custom(file: TFLiteFile) -> list[str]:
    return sorted({node.operator for graph in file.graphs for node in graph.nodes if node.custom})


def refusal(error: str) -> ConversionError | None:
    """Return the error for a model that needs such operators, from TensorFlow's message; None if it
    does not.
    """
    flex, custom = _named(error, "TF Select ops"), _named(error, "Custom ops")
    if flex and HALF.search(error):
        return ConversionError(
            "EK-CONVERT-007",
            f"the model computes in half precision, for which TFLite has no kernels: {flex}",
            "give the .keras or .h5 file that it was made from, which is rebuilt with float32; or"
            " export it anew under the float32 policy: its weights are float32 already",
        )
    if flex:
        argmax = f"{SIGN_OF_ZERO}\n" if "BitwiseAnd" in flex else ""
        return ConversionError(
            "EK-CONVERT-007",
            f"the model needs TensorFlow operators that TFLite lacks: {flex}",
            f"{argmax}write that layer with operators that TFLite has, or move it into the app;\n"
            f"or allow them with --flex ([convert] flex = true): {COST};\n{NOWHERE}",
        )
    return _lacking(custom) if custom else None


def check_allowed(file: TFLiteFile, allowed: Sequence[str]) -> None:
    """Raise :class:`ConversionError` for custom operators that the project does not name.

    TensorFlow's converter admits all of them or none.
    """
    unnamed = [name for name in custom_operators(file) if name not in allowed]
    if unnamed:
        raise _lacking(", ".join(unnamed))


def _lacking(custom: str) -> ConversionError:
    return ConversionError(
        "EK-CONVERT-004",
        f"the model needs custom operators: {custom}",
        "write that layer with operators that TFLite has, or, where your app registers a kernel"
        f" for each: [convert] custom_operators = [{_quoted(custom)}]",
    )


def _named(error: str, heading: str) -> str:
    """Return the operators that the converter lists after ``TF Select ops:`` or ``Custom ops:``."""
    listed = re.search(rf"^{heading}: (.+)$", error, re.MULTILINE)
    return listed[1].strip() if listed else ""


def _quoted(names: str) -> str:
    return ", ".join(f'"{name.strip()}"' for name in names.split(","))


def problem(file: TFLiteFile) -> str:
    """Say why a file with Flex or custom operators cannot run here; empty if it can."""
    flex, custom = flex_operators(file), custom_operators(file)
    if flex:
        named = f"TensorFlow's operators {', '.join(flex)}"
        return f"unavailable, because it holds {named}, and {NOWHERE}; {COST}"
    if custom:
        named = f"the custom operators {', '.join(custom)}"
        return f"unavailable, because it holds {named}, whose kernels only your app has"
    return ""
