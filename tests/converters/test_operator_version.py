"""The version an operator needs by what it uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatfiles
import pytest

from edgekit.converters import flatbuffer, runtime_table
from edgekit.converters.flatbuffer import Graph, Node, Quantization, Tensor
from edgekit.converters.operator_dtypes import BY_DTYPE
from edgekit.converters.operator_version import BY_FEATURE, required_version, unversioned_feature

PER_TENSOR = Quantization((0.1,), (0,))
PER_CHANNEL = Quantization((0.1, 0.2), (0, 0))
BLOCKWISE = Quantization((), (), block_size=32)
FLOAT, INT8, INT16 = "FLOAT32", "INT8", "INT16"


def tensor(
    dtype: str,
    quantization: Quantization | None = None,
    shape: tuple[int, ...] = (1, 4, 4, 2),
    sparse: bool = False,
) -> Tensor:
    return Tensor("t", dtype, shape, quantization=quantization, sparse=sparse)


def required(
    operator: str, inputs: list[Tensor | None], output: Tensor, stated: int = 1, **options: Any
) -> int:
    graph, node = placed(operator, inputs, output, stated, options)
    return required_version(graph, node)


def placed(
    operator: str, inputs: list[Tensor | None], output: Tensor, stated: int, options: dict[str, Any]
) -> tuple[Graph, Node]:
    tensors = tuple(one or tensor(FLOAT) for one in [*inputs, output])
    indices = tuple(-1 if one is None else at for at, one in enumerate(inputs))
    node = Node(operator, stated, False, indices, (len(inputs),), (), options)
    return Graph("main", tensors, (), (), (node,)), node


@pytest.mark.parametrize(
    ("version", "inputs", "output", "options"),
    [
        (1, [tensor(FLOAT), tensor(FLOAT), None], tensor(FLOAT), {}),
        (1, [tensor("UINT8"), tensor("UINT8"), None], tensor("UINT8"), {}),
        (2, [tensor(FLOAT), tensor(FLOAT), None], tensor(FLOAT), {"weights_format": 1}),
        (3, [tensor(FLOAT), tensor(INT8, PER_TENSOR), None], tensor(FLOAT), {}),
        (4, [tensor(INT8), tensor(INT8, PER_CHANNEL), None], tensor(INT8), {}),
        (5, [tensor(INT8), tensor(INT8), None], tensor(INT8), {"keep_num_dims": True}),
        (6, [tensor(FLOAT), tensor(FLOAT)], tensor(FLOAT), {}),
        (7, [tensor(INT16), tensor(INT8), None], tensor(INT16), {}),
        (8, [tensor(FLOAT), tensor(FLOAT, sparse=True), None], tensor(FLOAT), {}),
        (
            9,
            [tensor(FLOAT), tensor(INT8, PER_TENSOR), None],
            tensor(FLOAT),
            {"asymmetric_quantize_inputs": True},
        ),
        (10, [tensor(INT8), tensor("INT4", PER_CHANNEL), None], tensor(INT8), {}),
        (10, [tensor(FLOAT), tensor("INT4", PER_CHANNEL), None], tensor(FLOAT), {}),
        (11, [tensor(INT16), tensor(INT8), None], tensor(INT16), {"quantized_bias_type": 2}),
        # 64-bit biases: TensorFlow says so since 2.15, and the kernels before took no other.
        (7, [tensor(INT16), tensor(INT8), None], tensor(INT16), {"quantized_bias_type": 4}),
        (12, [tensor(FLOAT), tensor(INT8, PER_CHANNEL), None], tensor(FLOAT), {}),
        (13, [tensor(INT16), tensor("INT4"), None], tensor(INT16), {}),
        (13, [tensor(FLOAT), tensor("INT4", BLOCKWISE), None], tensor(FLOAT), {}),
        (14, [tensor(FLOAT), tensor("INT2"), None], tensor(FLOAT), {}),
    ],
)
def test_dense_layer_needs_the_version_of_its_features(
    version: int, inputs: list[Tensor | None], output: Tensor, options: dict[str, Any]
) -> None:
    assert required("FULLY_CONNECTED", inputs, output, **options) == version


@pytest.mark.parametrize(
    ("operator", "version", "kinds", "options"),
    [
        ("CONV_2D", 1, [FLOAT, FLOAT], {}),
        ("CONV_2D", 3, [INT8, INT8], {}),
        ("CONV_2D", 4, [INT16, INT8], {}),
        ("CONV_2D", 7, [INT8, "INT4"], {}),
        ("CONV_2D", 8, [INT16, INT8], {"quantized_bias_type": 2}),
        ("DEPTHWISE_CONV_2D", 2, [FLOAT, FLOAT], {"dilation_w_factor": 2}),
        ("DEPTHWISE_CONV_2D", 3, [INT8, INT8], {"dilation_w_factor": 2}),
        ("DEPTHWISE_CONV_2D", 5, [INT16, INT8], {}),
        ("DEPTHWISE_CONV_2D", 7, [INT8, "INT4"], {}),
        ("AVERAGE_POOL_2D", 2, [INT8], {}),
        ("MAX_POOL_2D", 3, [INT16], {}),
        ("ADD", 3, [INT16, INT16], {"pot_scale_int16": False}),
        ("SUB", 4, ["INT64", "INT64"], {}),
        ("MUL", 5, ["INT64", "INT64"], {}),
        ("SOFTMAX", 2, [INT8], {}),
        ("QUANTIZE", 2, [FLOAT], {"to": INT16}),
        ("DEQUANTIZE", 3, ["FLOAT16"], {}),
        ("DEQUANTIZE", 6, ["INT4"], {}),
        ("TRANSPOSE_CONV", 2, ["INT32", INT8, INT8], {}),
        ("TRANSPOSE_CONV", 3, ["INT32", INT8, INT8, "INT32"], {}),
        ("TRANSPOSE_CONV", 4, ["INT32", INT8, INT8], {"fused_activation_function": 1}),
        ("LSTM", 2, [FLOAT, FLOAT, FLOAT], {"kernel_type": 1}),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", 2, [FLOAT, None, INT8], {}),
        (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            3,
            [FLOAT, None, INT8],
            {"asymmetric_quantize_inputs": True},
        ),
        ("BATCH_MATMUL", 2, [INT8, INT8], {}),
        ("BATCH_MATMUL", 4, [FLOAT, INT8], {"asymmetric_quantize_inputs": True}),
        ("CONCATENATION", 3, [INT16, INT16], {}),
        ("MEAN", 3, [INT16], {}),
        ("PAD", 2, [INT8], {}),
        ("RESHAPE", 1, [INT8], {}),
        ("RESIZE_BILINEAR", 3, [INT8], {"half_pixel_centers": True}),
        ("RESIZE_NEAREST_NEIGHBOR", 3, [FLOAT], {"align_corners": True}),
        ("GATHER", 5, [FLOAT, "INT32"], {"batch_dims": 1}),
        ("EMBEDDING_LOOKUP", 4, ["INT32", "INT4"], {}),
        ("STRIDED_SLICE", 6, [FLOAT], {"new_axis_mask": 1}),
        ("TRANSPOSE", 2, [INT8], {}),
        ("SPLIT", 2, ["INT32", INT8], {}),
        ("RELU", 3, [INT16], {}),
        ("RELU6", 2, [INT8], {}),
        ("RSQRT", 3, [INT16], {}),
        ("BROADCAST_TO", 2, [FLOAT], {}),
        ("CAST", 5, [FLOAT], {"to": "FLOAT16"}),
    ],
)
def test_operators_need_the_version_of_their_dtypes_and_options(
    operator: str, version: int, kinds: list[str | None], options: dict[str, Any]
) -> None:
    inputs = [None if kind is None else tensor(kind, PER_TENSOR) for kind in kinds]
    made = tensor(options.pop("to", kinds[0]), PER_TENSOR)
    assert required(operator, inputs, made, **options) == version


def test_convolutions_need_more_per_channel_and_in_groups() -> None:
    data, answer = tensor(FLOAT), tensor(FLOAT)
    assert required("CONV_2D", [data, tensor(INT8, PER_TENSOR)], answer) == 2
    assert required("CONV_2D", [data, tensor(INT8, PER_CHANNEL)], answer) == 5
    assert required("DEPTHWISE_CONV_2D", [data, tensor(INT8, PER_CHANNEL)], answer) == 6
    grouped = tensor(FLOAT, shape=(2, 3, 3, 1))
    assert required("CONV_2D", [data, grouped], answer) == 6


def test_shapes_count() -> None:
    wide, narrow = tensor(FLOAT, shape=(1, 2, 3, 4, 5)), tensor(FLOAT, shape=(5,))
    assert required("SUB", [wide, narrow], wide) == 3
    assert required("SUB", [wide, wide], wide) == 1
    assert required("TRANSPOSE", [wide], wide) == 4
    assert required("TRANSPOSE", [tensor(INT8, shape=(1,) * 7)], wide) == 8


def test_a_custom_or_unknown_operator_needs_what_it_states() -> None:
    assert required("EdgeThing", [tensor(INT8)], tensor(INT8), stated=4) == 4
    assert required("HARD_SWISH", [tensor(INT8)], tensor(INT8), stated=1) == 1


@pytest.mark.parametrize(
    ("operator", "weights", "expected"),
    [
        ("CONV_2D", tensor("INT4", PER_CHANNEL), "int4 weights under float activations"),
        ("FULLY_CONNECTED", tensor("INT4", PER_CHANNEL), "int4 weights under float activations"),
        ("FULLY_CONNECTED", tensor("INT4", BLOCKWISE), "a scale per block of weights"),
        ("FULLY_CONNECTED", tensor(INT8, PER_CHANNEL), ""),
    ],
)
def test_a_feature_without_a_version_is_named(
    operator: str, weights: Tensor, expected: str
) -> None:
    graph, node = placed(operator, [tensor(FLOAT), weights], tensor(FLOAT), 1, {})
    assert unversioned_feature(graph, node) == expected
    if expected:
        assert (operator, expected) in runtime_table.table().features


@pytest.mark.parametrize(("dtype", "expected"), [(INT8, "integer activations"), (FLOAT, "")])
def test_an_integer_lstm_needs_a_kernel_that_its_version_does_not_tell(
    dtype: str, expected: str
) -> None:
    operator = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    operands = [tensor(dtype), tensor(INT8), tensor(INT8)]
    graph, node = placed(operator, operands, tensor(dtype), 1, {})
    assert unversioned_feature(graph, node) == expected
    if expected:
        # TensorFlow 2.3.4 refuses to prepare it, 2.4.4 runs it.
        assert runtime_table.table().features[operator, expected].tensorflow == "2.4.0"


def test_the_table_has_every_version_that_a_rule_asks_for() -> None:
    operators = runtime_table.table().operators
    assert BY_DTYPE.keys() | BY_FEATURE.keys() <= {name for name, _ in operators}
    asked = {(name, v) for name, (_, row) in BY_DTYPE.items() for v in row.values()}
    assert asked <= operators.keys()
    assert {kind for _, row in BY_DTYPE.values() for kind in row} <= flatfiles.DTYPES.keys()


def test_the_converters_own_files_state_enough(converted: Path, outcomes: dict[str, str]) -> None:
    """TensorFlow states a version by the same rules: no file of its own is called understated."""
    # What ai-edge-quantizer leaves is kept there too, before its versions are stamped; and
    # TensorFlow's 16-bit files state CONV_2D 3, the version of int8.
    apart = ("quantizer-raw", "int16x8")
    names = [name for name, error in outcomes.items() if not error and name not in apart]
    assert len(names) >= 6
    for name in names:
        for graph in flatbuffer.read(converted / f"{name}.tflite").graphs:
            for node in graph.nodes:
                assert required_version(graph, node) <= node.version, (name, node)
