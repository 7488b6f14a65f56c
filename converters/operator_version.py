"""The version that an operator needs by what it uses, whatever version its file states.

Writers of files state a version per operator, and an old runtime that has only lower ones refuses
the file. A writer that states too low a version defeats that guard.

Source: LiteRT's ``tflite/converter/tools/versioning/op_version.cc`` and ``op_signature.cc``. What a
node needs here is the highest version among those that its dtypes and options came with. Where
those files ask for less than the kernels do, docs/runtimes.md names the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from edgekit.converters.flatbuffer import Graph, Node
from edgekit.converters.operands import Operands, blockwise, hybrid, per_channel, quantized
from edgekit.converters.operator_dtypes import BY_DTYPE, FLOAT8

SHUFFLED_WEIGHTS = 1
BASIC_LSTM = 1
HYBRID_INT4 = "int4 weights under float activations"
BLOCKWISE = "a scale per block of weights"
INTEGER_LSTM = "integer activations"


def required_version(graph: Graph, node: Node) -> int:
    """Return the lowest version of the operator that supports all that the node uses.

    The stated version where this module has no rule for the operator, as for custom ones.
    """
    known = node.operator in BY_DTYPE or node.operator in BY_FEATURE
    if node.custom or not known:
        return node.version
    operands = Operands.of(graph, node)
    at, versions = BY_DTYPE.get(node.operator, (0, {}))
    features = BY_FEATURE.get(node.operator, _none)(operands)
    return max(1, versions.get(operands.kind(at), 1), *features)


def unversioned_feature(graph: Graph, node: Node) -> str:
    """Name the feature that the node uses and no operator version stands for; empty if there is
    none.
    """
    operands = Operands.of(graph, node)
    if node.operator == "UNIDIRECTIONAL_SEQUENCE_LSTM" and operands.kind(0) in ("INT8", "INT16"):
        return INTEGER_LSTM
    if node.custom or operands.kind(0) != "FLOAT32" or operands.kind(1) != "INT4":
        return ""
    if node.operator == "FULLY_CONNECTED" and blockwise(operands.input(1)):
        return BLOCKWISE
    return HYBRID_INT4 if node.operator in ("CONV_2D", "FULLY_CONNECTED") else ""


def _none(_: Operands) -> Iterator[int]:
    yield from ()


def _conv_2d(o: Operands) -> Iterator[int]:
    data, weights = o.input(0), o.input(1)
    if hybrid(o):
        yield 5 if per_channel(weights) else 2
        if o.kind(1) == "INT4":
            # No version is its own: the highest of the first release that computes it correctly.
            yield 8
    if o.kind(0) == o.kind(1) == "INT8":
        yield 3
    if o.kind(0) == "INT16":
        yield 8 if o.narrow_bias else 4
    if o.kind(1) == "INT4":
        yield 7
    ranked = data is not None and weights is not None and o.rank(0) == o.rank(1) == 4
    if ranked and data.shape[3] != weights.shape[3]:  # type: ignore[union-attr]
        yield 6


def _depthwise_conv_2d(o: Operands) -> Iterator[int]:
    if hybrid(o):
        yield 6 if per_channel(o.input(1)) else 4
    if o.kind(0) == o.kind(1) == "INT8":
        yield 3
    if o.kind(0) == "INT16":
        yield 5
    if o.kind(1) == "INT4":
        yield 7
    if any(o.options.get(f"dilation_{side}_factor", 1) != 1 for side in "wh"):
        yield 2


def _fully_connected(o: Operands) -> Iterator[int]:
    weights = o.input(1)
    if o.options.get("weights_format", 0) == SHUFFLED_WEIGHTS:
        yield 2
    if hybrid(o):
        yield 9 if o.has("asymmetric_quantize_inputs") else 3
        if o.kind(1) == "INT8" and per_channel(weights):
            yield 12
        if blockwise(weights):
            # As for int4 convolutions.
            yield 13
    if o.kind(0) == o.kind(1) == "INT8":
        yield 4
    if o.has("keep_num_dims"):
        yield 5
    if len(o.inputs) == 2:
        yield 6
    if o.kind(0) == "INT16":
        yield 11 if o.narrow_bias else 7
        if o.kind(1) == "INT4":
            yield 13
    if weights is not None and weights.sparse:
        yield 8
    if o.kind(1) == "INT4":
        yield 10
    if o.kind(1) == "INT2":
        yield 14


def _transpose_conv(o: Operands) -> Iterator[int]:
    # Its first input is the shape of its output.
    if o.kind(1) == "INT8":
        yield 2
    if o.kind(2) == "INT16":
        yield 5 if o.narrow_bias else 3
    if o.input(3) is not None:
        yield 3
    if o.has("fused_activation_function"):
        yield 4


def _embedding_lookup(o: Operands) -> Iterator[int]:
    if o.kind(1) == "INT4" or per_channel(o.input(1)):
        yield 4
    if o.kind(1) == "INT2":
        yield 5


def _lstm(o: Operands) -> Iterator[int]:
    if o.options.get("kernel_type", 0) == BASIC_LSTM:
        yield 2
    elif hybrid(o, 2):
        yield 4 if o.has("asymmetric_quantize_inputs") else 3


def _sequence_lstm(o: Operands) -> Iterator[int]:
    if hybrid(o, 2):
        yield 3 if o.has("asymmetric_quantize_inputs") else 2
    if o.has("diagonal_recurrent_tensors"):
        yield 4


def _recurrent(o: Operands) -> Iterator[int]:
    if hybrid(o):
        yield 3 if o.has("asymmetric_quantize_inputs") else 2


def _svdf(o: Operands) -> Iterator[int]:
    if hybrid(o):
        yield 4 if o.has("asymmetric_quantize_inputs") else 2


def _batch_matmul(o: Operands) -> Iterator[int]:
    if hybrid(o) and o.has("asymmetric_quantize_inputs"):
        yield 4


def _add(o: Operands) -> Iterator[int]:
    if o.kind(0) == "INT16":
        if not quantized(o.input(0)):
            yield 5
        elif not o.options.get("pot_scale_int16", True):
            yield 3


def _sub(o: Operands) -> Iterator[int]:
    if o.kind(0) == "INT16" and not o.options.get("pot_scale_int16", True):
        yield 5
    if o.broadcasts and o.ranks > 4:
        yield 3


def _mul(o: Operands) -> Iterator[int]:
    first, second, product = o.input(0), o.input(1), o.output()
    if o.kind(0) == "INT16" and not (quantized(first) or quantized(second)):
        yield 7
    scales = [tensor.scale if tensor is not None else 0.0 for tensor in (first, second, product)]
    if all(scales) and scales[0] * scales[1] / scales[2] >= 1:
        yield 3


def _wide(version: int) -> Callable[[Operands], Iterator[int]]:
    """Need a version where inputs of different shapes have more than four dimensions."""

    def feature(o: Operands) -> Iterator[int]:
        if o.broadcasts and o.ranks > 4:
            yield version

    return feature


def _deep(*limits: tuple[int, int]) -> Callable[[Operands], Iterator[int]]:
    """Need a version where the first input exceeds a rank: ``(limit, version)``."""

    def feature(o: Operands) -> Iterator[int]:
        yield from (version for limit, version in limits if o.rank() > limit)

    return feature


def _gather(o: Operands) -> Iterator[int]:
    if o.kind(1) == "INT16":
        yield 6
    if o.options.get("batch_dims", 0):
        yield 5


def _gather_nd(o: Operands) -> Iterator[int]:
    if o.kind(1) == "INT16":
        yield 4


def _quantize(o: Operands) -> Iterator[int]:
    output = o.output()
    kinds = {o.kind(0), output.dtype if output is not None else ""}
    if "UINT4" in kinds:
        yield 5
    if "INT4" in kinds:
        yield 4
    if per_channel(output):
        yield 3
    if output is not None and output.dtype == "INT16":
        yield 2


def _dequantize(o: Operands) -> Iterator[int]:
    if o.kind(0) == "INT8" and per_channel(o.input(0)):
        yield 5


def _strided_slice(o: Operands) -> Iterator[int]:
    if o.has("offset"):
        yield 8
    if o.has("ellipsis_mask") or o.has("new_axis_mask"):
        yield 6
    if o.rank() > 4:
        yield 4


def _resize(o: Operands) -> Iterator[int]:
    if o.has("half_pixel_centers"):
        yield 3


def _resize_nearest(o: Operands) -> Iterator[int]:
    if o.has("half_pixel_centers") or o.has("align_corners"):
        yield 3


def _abs(o: Operands) -> Iterator[int]:
    if o.kind(0) == "INT16":
        yield 3 if quantized(o.input(0)) else 4


def _normalized(o: Operands) -> Iterator[int]:
    made = o.output()
    if made is not None and made.dtype == "INT8":
        yield 2


def _not_flat(o: Operands) -> Iterator[int]:
    if o.rank() != 4:
        yield 3


def _cast(o: Operands) -> Iterator[int]:
    made = o.output()
    kinds = {o.kind(0), made.dtype if made is not None else ""}
    versions = {
        **dict.fromkeys(FLOAT8, 9),
        "INT2": 8,
        "UINT4": 8,
        "BFLOAT16": 7,
        "INT4": 6,
        "FLOAT64": 5,
        "FLOAT16": 5,
        "UINT16": 4,
        "INT8": 3,
        "UINT32": 2,
    }
    yield from (versions[kind] for kind in kinds if kind in versions)


def _top_k(o: Operands) -> Iterator[int]:
    positions = o.output(1)
    if o.kind(1) == "INT16" or (positions is not None and positions.dtype == "INT16"):
        yield 3


def _select(o: Operands) -> Iterator[int]:
    if o.kind(1) == "UINT32":
        yield 4
    if o.ranks == 5:
        yield 3


def _select_v2(o: Operands) -> Iterator[int]:
    if o.kind(1) == "UINT32":
        yield 2


def _update_slice(o: Operands) -> Iterator[int]:
    if o.kind(2) == "INT64":
        yield 2


def _broadcast_to(_: Operands) -> Iterator[int]:
    # Its first version was withdrawn.
    yield 2


def _where(o: Operands) -> Iterator[int]:
    if o.kind(0) not in ("BOOL", ""):
        yield 2


def _fake_quant(o: Operands) -> Iterator[int]:
    if o.has("narrow_range"):
        yield 2


BY_FEATURE: Mapping[str, Callable[[Operands], Iterator[int]]] = {
    "ABS": _abs,
    "ADD": _add,
    "BATCH_MATMUL": _batch_matmul,
    "BATCH_TO_SPACE_ND": _not_flat,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "BIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
    "BROADCAST_TO": _broadcast_to,
    "CAST": _cast,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEQUANTIZE": _dequantize,
    "DIV": _wide(2),
    "DYNAMIC_UPDATE_SLICE": _update_slice,
    "EMBEDDING_LOOKUP": _embedding_lookup,
    "FAKE_QUANT": _fake_quant,
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "GATHER_ND": _gather_nd,
    "L2_NORMALIZATION": _normalized,
    "LSTM": _lstm,
    "MAXIMUM": _wide(3),
    "MINIMUM": _wide(3),
    "MUL": _mul,
    "PAD": _deep((4, 4)),
    "PADV2": _deep((4, 4)),
    "QUANTIZE": _quantize,
    "RESHAPE": _none,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize_nearest,
    "RNN": _recurrent,
    "SELECT": _select,
    "SELECT_V2": _select_v2,
    "SLICE": _deep((4, 5)),
    "SPACE_TO_BATCH_ND": _not_flat,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _sub,
    "SVDF": _svdf,
    "TOPK_V2": _top_k,
    "TRANSPOSE": _deep((4, 4), (5, 6), (6, 8)),
    "TRANSPOSE_CONV": _transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _sequence_lstm,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
    "WHERE": _where,
}
