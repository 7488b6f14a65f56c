"""Findings about quantization: scales and zero points that no kernel can use."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgekit.converters.flatbuffer import Graph, Node, Tensor
from edgekit.converters.inspection.facts import Facts, Finding, counted, findings
from edgekit.converters.inspection.shapes import node_name, short

LIMITS = {
    "INT8": (-128, 127),
    "UINT8": (0, 255),
    "INT16": (-32768, 32767),
    "INT4": (-8, 7),
    "UINT4": (0, 15),
    "INT2": (-2, 1),
    "INT32": (-(2**31), 2**31 - 1),
}
SMALLEST_NORMAL = 2.0**-126
LARGEST = 1e6
SPAN = 1e3
# Output quantization that these kernels prescribe: scale, zero point.
# Source: "TensorFlow Lite 8-bit quantization specification", and kernels/activations.cc.
FIXED = {
    ("SOFTMAX", "INT8"): (1 / 256, -128),
    ("SOFTMAX", "UINT8"): (1 / 256, 0),
    ("SOFTMAX", "INT16"): (1 / 32768, 0),
    ("LOGISTIC", "INT8"): (1 / 256, -128),
    ("LOGISTIC", "UINT8"): (1 / 256, 0),
    ("LOGISTIC", "INT16"): (1 / 32768, 0),
    ("TANH", "INT8"): (1 / 128, 0),
    ("TANH", "UINT8"): (1 / 128, 128),
    ("TANH", "INT16"): (1 / 32768, 0),
    ("L2_NORMALIZATION", "INT8"): (1 / 128, 0),
    ("LOG_SOFTMAX", "INT8"): (16 / 256, 127),
}
# Operators that pass values through: their output's range must hold their inputs'.
PASSING = frozenset(
    (
        "RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE MAX_POOL_2D CONCATENATION PACK SPLIT SPLIT_V "
        "STRIDED_SLICE SLICE SPACE_TO_DEPTH DEPTH_TO_SPACE TILE"
    ).split()
)
CLIPPED = 0.05
# The kernels refuse a larger difference. Source: kernels/kernel_util.cc,
# GetQuantizedConvolutionMultipler.
BIAS_TOLERANCE = 0.02
WITH_BIAS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
AGAIN = "convert again, with representative data like that of real use"


def invalid_scales(facts: Facts) -> Iterator[Finding]:
    places = [
        f"{short(t.name)} (scale {bad:g})"
        for t in _quantized(facts)
        if (bad := next((s for s in _scales(t) if not (s > 0 and math.isfinite(s))), None))
        is not None
    ]
    yield from findings(
        "EK-INSPECT-020",
        "error",
        f"{counted(places, 'tensor has a scale', 'tensors have scales')} that no kernel can"
        " use: zero, negative, NaN or infinite",
        places,
        "every value becomes 0, or the runtime refuses or crashes",
        AGAIN,
    )


def misplaced_scales(facts: Facts) -> Iterator[Finding]:
    """Find scales along a dimension that is not there, or not as many as its slices.

    Source: LiteRT, ``tflite/core/interpreter_builder.cc``, ParseQuantization.
    """
    places = [
        f"{short(t.name)} {list(t.shape)} ({problem})"
        for t in _quantized(facts)
        if (problem := _misplaced(t))
    ]
    yield from findings(
        "EK-INSPECT-029",
        "error",
        f"{counted(places, 'tensor has', 'tensors have')} scales along a dimension that it does"
        " not have, or of another number",
        places,
        "LiteRT and tflite-runtime refuse the file: invalid quantization parameters; TFLM looks"
        " at some of them only, and may run it",
        "convert again with a current converter, or set quantized_dimension in the file",
    )


def _misplaced(tensor: Tensor) -> str:
    """Say what is wrong with the dimension of a tensor's scales; empty if nothing is."""
    quantization = tensor.quantization
    if quantization is None or quantization.block_size or not tensor.shape:
        return ""
    count = len(quantization.scales)
    if not 0 <= quantization.axis < len(tensor.shape):
        return f"dimension {quantization.axis}"
    if count != 1 and count != tensor.shape[quantization.axis]:
        return f"{count:,} scales along dimension {quantization.axis}"
    return ""


def odd_scales(facts: Facts) -> Iterator[Finding]:
    places = [
        f"{short(t.name)} (scale {odd:g})"
        for t in _quantized(facts)
        if (odd := next(filter(_is_odd, _scales(t)), None)) is not None
    ]
    yield from findings(
        "EK-INSPECT-021",
        "warning",
        f"{counted(places, 'tensor has a scale', 'tensors have scales')} that are denormal or"
        f" above {LARGEST:,.0f}",
        places,
        "it stands for no range a network has: the calibration saw all zeros, or an outlier",
        AGAIN,
    )


def _is_odd(scale: float) -> bool:
    return 0 < scale < SMALLEST_NORMAL or LARGEST < scale < math.inf


def zero_points(facts: Facts) -> Iterator[Finding]:
    places = []
    for tensor in _quantized(facts):
        low, high = LIMITS.get(tensor.dtype, (0, 0))
        zeros = tensor.quantization.zero_points if tensor.quantization else ()
        bad = next((z for z in zeros if not low <= z <= high), None)
        if bad is not None and tensor.dtype in LIMITS:
            places.append(f"{short(tensor.name)} (zero point {bad}, {tensor.dtype.lower()})")
    yield from findings(
        "EK-INSPECT-022",
        "error",
        f"{counted(places, 'zero point lies', 'zero points lie')} outside the dtype",
        places,
        "the real value 0 cannot be represented: paddings and ReLU go wrong",
        AGAIN,
    )


def asymmetric(facts: Facts) -> Iterator[Finding]:
    """Find int8 weights and int16 activations that are not symmetric."""
    places = []
    for graph, node, _ in facts.nodes():
        reads = node.inputs[1:2] if node.operator in WITH_BIAS else ()
        for tensor in (graph.tensors[i] for i in reads if i >= 0):
            # In uint8, weights have a zero point of their own.
            if tensor.dtype in ("INT8", "INT4") and _has_zero_point(tensor):
                places.append(f"{short(tensor.name)} ({tensor.dtype.lower()} weights)")
    for tensor in _quantized(facts):
        if tensor.dtype == "INT16" and _has_zero_point(tensor):
            places.append(f"{short(tensor.name)} (int16)")
    yield from findings(
        "EK-INSPECT-023",
        "error",
        f"{counted(places, 'tensor has', 'tensors have')} a zero point that is not 0, where"
        " kernels take it for 0",
        places,
        "the quantization specification makes int8 weights and int16 symmetric",
        AGAIN,
    )


def _has_zero_point(tensor: Tensor) -> bool:
    return tensor.quantization is not None and any(tensor.quantization.zero_points)


def fixed_outputs(facts: Facts) -> Iterator[Finding]:
    places = []
    for graph, node, _ in facts.nodes():
        output = _output(graph, node)
        prescribed = FIXED.get((node.operator, output.dtype)) if output else None
        if output is None or prescribed is None or not output.scale or output.quantization is None:
            continue
        zero = next(iter(output.quantization.zero_points), 0)
        if not math.isclose(output.scale, prescribed[0], rel_tol=1e-3) or zero != prescribed[1]:
            places.append(f"{node.operator} ({node_name(graph, node)}): scale {output.scale:g}")
    yield from findings(
        "EK-INSPECT-024",
        "warning",
        f"{counted(places, 'output is', 'outputs are')} not quantized as the operator"
        " prescribes (softmax and logistic: scale 1/256)",
        places,
        "kernels assume that scale: they refuse the file, or answers are scaled wrongly",
        AGAIN,
    )


def clipped(facts: Facts) -> Iterator[Finding]:
    """Find outputs whose range does not hold that of an input that is only passed through."""
    places = []
    for graph, node, _ in facts.nodes():
        output = _output(graph, node)
        if node.operator not in PASSING or output is None or (into := _range(output)) is None:
            continue
        reads = [graph.tensors[i] for i in node.inputs if i >= 0]
        for range_read in (_range(t) for t in reads if t.dtype == output.dtype):
            width = range_read[1] - range_read[0] if range_read else 0.0
            lost = max(into[0] - range_read[0], range_read[1] - into[1]) if range_read else 0.0
            if width > 0 and lost > CLIPPED * width:
                places.append(f"{node.operator} ({node_name(graph, node)}): {lost / width:.0%}")
                break
    yield from findings(
        "EK-INSPECT-025",
        "warning",
        f"{counted(places, 'output saturates', 'outputs saturate')}: the range is narrower than"
        " that of an input passed through",
        places,
        "values past the end of the range are clipped without an error",
        AGAIN,
    )


def wide_channels(facts: Facts) -> Iterator[Finding]:
    places = []
    for tensor in _quantized(facts):
        scales = [s for s in _scales(tensor) if s > 0 and math.isfinite(s)]
        # A bias follows its weights.
        if tensor.dtype != "INT32" and len(scales) > 1 and max(scales) > SPAN * min(scales):
            places.append(f"{short(tensor.name)} (x{max(scales) / min(scales):.2g})")
    yield from findings(
        "EK-INSPECT-026",
        "info",
        f"{counted(places, 'weight')} whose channels' scales span more than {SPAN:,.0f} times",
        places,
        "channels of near-zero weights are dead; the wide ones set the activation's scale",
        "remove dead channels (edgekit compress --channels), or equalise across layers",
    )


def bias_scales(facts: Facts) -> Iterator[Finding]:
    """Find biases whose scale is not that of input times weight."""
    places = [
        f"{node.operator} ({node_name(graph, node)})"
        for graph, node, _ in facts.nodes()
        if node.operator in WITH_BIAS and _is_bias_off(graph, node)
    ]
    yield from findings(
        "EK-INSPECT-027",
        "error",
        f"{counted(places, 'bias has', 'biases have')} another scale than input times weight",
        places,
        "kernels refuse it, or add a bias of the wrong size to the accumulator",
        AGAIN,
    )


def _is_bias_off(graph: Graph, node: Node) -> bool:
    if len(node.inputs) < 3 or min(node.inputs[:3]) < 0:
        return False
    data, weight, bias = (graph.tensors[i] for i in node.inputs[:3])
    output = _output(graph, node)
    if output is None or not data.scale or not output.scale:
        return False
    weights, biases = _scales(weight), _scales(bias)
    # Channels may share one scale on either side.
    pairs = zip(
        weights * (len(biases) if len(weights) == 1 else 1),
        biases * (len(weights) if len(biases) == 1 else 1),
        strict=False,
    )
    return any(abs(data.scale * w - b) / output.scale > BIAS_TOLERANCE for w, b in pairs)


def bare_integers(facts: Facts) -> Iterator[Finding]:
    """Find integer inputs and outputs without a scale: nobody knows what they stand for."""
    graph = facts.file.graphs[0]
    # A compiled program knows its own scales, but its user still needs them.
    places = [
        short(graph.tensors[i].name)
        for i in (*graph.inputs, *graph.outputs)
        if i >= 0 and graph.tensors[i].dtype in ("INT8", "INT16") and not _scales(graph.tensors[i])
    ]
    yield from findings(
        "EK-INSPECT-028",
        "warning",
        f"{counted(places, 'integer input or output has', 'integer inputs or outputs have')}"
        " no scale",
        places,
        "an application cannot tell which integers to feed, or what they mean",
        AGAIN,
    )


def _quantized(facts: Facts) -> Iterator[Tensor]:
    for graph in facts.file.graphs:
        yield from (tensor for tensor in graph.tensors if tensor.quantization is not None)


def _scales(tensor: Tensor) -> tuple[float, ...]:
    return tensor.quantization.scales if tensor.quantization is not None else ()


def _output(graph: Graph, node: Node) -> Tensor | None:
    first = next((i for i in node.outputs if i >= 0), None)
    return graph.tensors[first] if first is not None else None


def _range(tensor: Tensor) -> tuple[float, float] | None:
    """Return the real values that a tensor of one scale can hold."""
    if tensor.dtype not in LIMITS or not tensor.scale or not math.isfinite(tensor.scale):
        return None
    zero = next(iter(tensor.quantization.zero_points), 0) if tensor.quantization else 0
    low, high = LIMITS[tensor.dtype]
    return tensor.scale * (low - zero), tensor.scale * (high - zero)
