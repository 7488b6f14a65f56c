"""Which runtimes have kernels for which custom operators: the one table of them.

Sources: LiteRT, ``tflite/core/kernels/register.cc`` (beside the builtin ones) and
``tflite/delegates/xnnpack/xnnpack_delegate.cc`` (which takes MediaPipe's as its own); TFLM's in
``micro/operators.toml``. What tflite-runtime 2.14 takes of them was tried: its wheels name
MediaPipe's, and refuse them.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.micro import resolver

FLEX = "Flex"
REGISTERED = frozenset(
    {"AudioSpectrogram", "Mfcc", "NumericVerify", "TFLite_Detection_PostProcess"}
)
XNNPACK = frozenset({"Convolution2DTransposeBias", "MaxPoolingWithArgmax2D", "MaxUnpooling2D"})
CARRIED = {
    "litert": REGISTERED | XNNPACK,
    "tflite-runtime": REGISTERED,
    # LiteRT without its delegate.
    "reference": REGISTERED,
}
# Operators that a vendor's compiler puts in place of a whole graph.
COMPILED = frozenset({"edgetpu-custom-op", "ethos-u"})


def custom_operators(file: TFLiteFile) -> tuple[str, ...]:
    """Return the custom operators of a file, TensorFlow's own (Flex) included, sorted."""
    return tuple(sorted({n.operator for graph in file.graphs for n in graph.nodes if n.custom}))


def supporting_runtimes(operator: str) -> tuple[str, ...]:
    """Return the runtimes that have a kernel for a custom operator: ``litert``, ``tflite-runtime``,
    ``tflm``.

    A kernel that an application adds itself, such as the Ethos-U driver's, does not count.
    """
    if operator in COMPILED:
        return ()
    supporting = [name for name in ("litert", "tflite-runtime") if operator in CARRIED[name]]
    return (*supporting, "tflm") if operator in resolver.table().custom else tuple(supporting)


def unsupported_operators(operators: Iterable[str], runtime: str) -> tuple[str, ...]:
    """Return the custom operators that a runtime has no kernel for."""
    if runtime == "tflm":
        known = frozenset(resolver.table().custom) - COMPILED
    else:
        known = CARRIED.get(runtime, frozenset())
    return tuple(sorted(set(operators) - known))
