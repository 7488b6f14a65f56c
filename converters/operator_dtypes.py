"""The version that an operator needs by the dtype of one of its inputs: a table.

Source: LiteRT's ``tflite/converter/tools/versioning/op_version.cc``.
"""

from __future__ import annotations

from collections.abc import Mapping

FLOAT8 = ("FLOAT8_E4M3FN", "FLOAT8_E5M2")


def _float8(version: int) -> Mapping[str, int]:
    """Map both 8-bit float dtypes to a version."""
    return dict.fromkeys(FLOAT8, version)


INT8 = {"INT8": 2}
INTEGERS = {"INT8": 2, "INT16": 3}
# The input whose dtype decides, and what each dtype needs.
BY_DTYPE: Mapping[str, tuple[int, Mapping[str, int]]] = {
    "ABS": (0, {"INT32": 5, "INT8": 2, "UINT8": 2}),
    "ADD": (0, {"FLOAT16": 6, "INT64": 4, "INT8": 2}),
    "ARG_MAX": (0, {"BOOL": 3, "INT8": 2}),
    "ARG_MIN": (0, {"BOOL": 3, "INT8": 2}),
    "AVERAGE_POOL_2D": (0, INTEGERS),
    "BATCH_MATMUL": (0, INTEGERS),
    "BATCH_TO_SPACE_ND": (0, {"INT16": 4, "INT8": 2}),
    "BROADCAST_TO": (0, {**_float8(4), "INT8": 3, "INT16": 3}),
    "CONCATENATION": (
        0,
        {**_float8(7), "FLOAT16": 6, "INT4": 5, "UINT32": 4, "INT16": 3, "INT8": 2},
    ),
    "COS": (0, {"FLOAT16": 2}),
    "DEPTH_TO_SPACE": (0, INT8),
    "DEQUANTIZE": (
        0,
        {**_float8(9), "UINT4": 8, "INT2": 7, "INT4": 6, "INT16": 3, "FLOAT16": 3, "INT8": 2},
    ),
    "DYNAMIC_UPDATE_SLICE": (0, {"BFLOAT16": 6, "INT4": 5, "INT16": 4, "FLOAT16": 3}),
    "EQUAL": (0, {"INT16": 5, "STRING": 3, "INT8": 2}),
    "EXP": (0, {"INT8": 2, "INT16": 2}),
    "FILL": (1, {**_float8(5), "FLOAT16": 4, "INT8": 3, "INT16": 3, "BOOL": 2, "STRING": 2}),
    "FLOOR_DIV": (0, {"INT16": 3, "INT8": 3, "FLOAT32": 2}),
    "FLOOR_MOD": (0, {"INT16": 2, "INT8": 2}),
    "GATHER": (0, {**_float8(8), "INT4": 7, "INT16": 4, "BOOL": 3, "INT8": 2}),
    "GATHER_ND": (0, {**_float8(6), "BOOL": 5, "INT16": 3, "STRING": 2}),
    "GELU": (0, {"FLOAT16": 3, "INT8": 2, "UINT8": 2}),
    "GREATER": (0, INT8),
    "GREATER_EQUAL": (0, INTEGERS),
    "LEAKY_RELU": (0, {"INT16": 2}),
    "LESS": (0, INTEGERS),
    "LESS_EQUAL": (0, INT8),
    "LOG": (0, {"INT8": 2, "INT16": 2}),
    "LOGISTIC": (0, INTEGERS),
    "LOG_SOFTMAX": (0, INT8),
    "MAXIMUM": (0, {"INT16": 4, "INT8": 2}),
    "MAX_POOL_2D": (0, INTEGERS),
    "MEAN": (0, INTEGERS),
    "MINIMUM": (0, {"INT16": 4, "INT8": 2}),
    "MIRROR_PAD": (0, INTEGERS),
    "MUL": (
        0,
        {"FLOAT16": 8, "UINT32": 7, "COMPLEX64": 6, "INT64": 5, "INT16": 4, "INT8": 2},
    ),
    "NOT_EQUAL": (0, {"INT16": 4, "STRING": 3, "INT8": 2}),
    "PACK": (0, {**_float8(5), "UINT32": 4, "INT16": 3, "INT8": 2}),
    "PAD": (0, {**_float8(6), "BOOL": 5, "INT16": 3, "INT8": 2}),
    "PADV2": (0, {**_float8(6), "BOOL": 5, "INT16": 3, "INT8": 2}),
    "RANGE": (0, {"INT64": 2}),
    "REDUCE_MAX": (0, INTEGERS),
    "REDUCE_MIN": (0, INTEGERS),
    "REDUCE_PROD": (0, {"INT8": 2, "INT16": 2}),
    "RELU": (0, {"INT16": 3, "INT8": 2, "UINT8": 2}),
    "RELU6": (0, INTEGERS),
    "RESIZE_BILINEAR": (0, {"INT16": 4, "INT8": 2}),
    "RESIZE_NEAREST_NEIGHBOR": (0, {"INT16": 4, "INT8": 2}),
    "REVERSE_V2": (0, {**_float8(4), "INT8": 3, "BOOL": 2}),
    "RSQRT": (0, INTEGERS),
    "SELECT": (1, INT8),
    "SIGN": (0, {"INT32": 2}),
    "SIN": (0, {"FLOAT16": 2}),
    "SLICE": (0, {"FLOAT16": 8, "INT4": 7, "UINT32": 6, "INT16": 4, "STRING": 3, "INT8": 2}),
    "SOFTMAX": (0, {"FLOAT16": 4, "INT16": 3, "INT8": 2}),
    "SPACE_TO_BATCH_ND": (0, {"INT16": 4, "INT8": 2}),
    "SPACE_TO_DEPTH": (0, INT8),
    "SPARSE_TO_DENSE": (2, {"INT8": 3, "UINT8": 3, "INT64": 2}),
    "SPLIT": (1, {**_float8(5), "INT16": 4, "INT32": 3, "INT8": 2}),
    "SPLIT_V": (0, {**_float8(3), "INT8": 2}),
    "SQRT": (0, {"INT8": 2, "INT16": 2}),
    "SQUARED_DIFFERENCE": (0, INT8),
    "SQUEEZE": (0, {"STRING": 2}),
    "STRIDED_SLICE": (0, {"UINT32": 7, "STRING": 5, "BOOL": 3, "INT8": 2}),
    "SUB": (0, {"INT64": 4, "INT8": 2}),
    "SUM": (0, INT8),
    "SVDF": (0, {"INT8": 3}),
    "TANH": (0, INTEGERS),
    "TILE": (0, {"INT8": 3, "STRING": 2}),
    "TOPK_V2": (0, INTEGERS),
    "TRANSPOSE": (
        0,
        {"FLOAT16": 9, "BFLOAT16": 8, "INT4": 7, "INT16": 5, "BOOL": 3, "INT8": 2},
    ),
    "UNPACK": (
        0,
        {**_float8(6), "FLOAT16": 5, "BFLOAT16": 5, "INT16": 4, "BOOL": 3, "INT8": 2, "UINT8": 2},
    ),
}
