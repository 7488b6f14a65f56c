"""What inspect computes: multiply-accumulates, peak memory, precision, weights; by hand first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tflite_files import G, N, T, build, int8_dense

from edgekit.converters import flatbuffer
from edgekit.converters.inspection import computed_precision, memory
from edgekit.converters.inspection.macs import Macs
from edgekit.converters.inspection.weights import remainder, weights


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


def read(*graphs: G, **more: object) -> flatbuffer.TFLiteFile:
    return flatbuffer.parse(build(*graphs, **more), "built")


def single(operator: str, inputs: list[T], output: T, **options: object) -> G:
    names = [t.name for t in inputs]
    feeds = [t.name for t in inputs if t.data is None and not t.variable]
    node = N(operator, names, [output.name], options=options)
    return G([*inputs, output], [node], feeds, [output.name])


CASES = {
    # 4*4 positions, 8 channels, windows of 3*3*3.
    "conv": (
        single(
            "CONV_2D",
            [T("x", [1, 8, 8, 3]), T("w", [8, 3, 3, 3], data=zeros(8, 3, 3, 3))],
            T("y", [1, 4, 4, 8]),
        ),
        4 * 4 * 8 * 27,
    ),
    # Two groups: each output channel sees half of the four input channels.
    "grouped conv": (
        single(
            "CONV_2D",
            [T("x", [1, 8, 8, 4]), T("w", [6, 1, 1, 2], data=zeros(6, 1, 1, 2))],
            T("y", [1, 8, 8, 6]),
        ),
        8 * 8 * 6 * 2,
    ),
    "depthwise": (
        single(
            "DEPTHWISE_CONV_2D",
            [T("x", [1, 8, 8, 3]), T("w", [1, 3, 3, 6], data=zeros(1, 3, 3, 6))],
            T("y", [1, 8, 8, 6]),
        ),
        8 * 8 * 6 * 9,
    ),
    "dense": (
        single(
            "FULLY_CONNECTED", [T("x", [2, 10]), T("w", [5, 10], data=zeros(5, 10))], T("y", [2, 5])
        ),
        2 * 5 * 10,
    ),
    "transposed conv": (
        single(
            "TRANSPOSE_CONV",
            [
                T("s", [4], "INT32", zeros(4, dtype="int32")),
                T("w", [2, 3, 3, 4], data=zeros(2, 3, 3, 4)),
                T("x", [1, 5, 5, 4]),
            ],
            T("y", [1, 10, 10, 2]),
        ),
        5 * 5 * 4 * 2 * 9,
    ),
    "matmul": (
        single("BATCH_MATMUL", [T("a", [3, 4, 5]), T("b", [3, 5, 6])], T("y", [3, 4, 6])),
        3 * 4 * 6 * 5,
    ),
    "transposed matmul": (
        single(
            "BATCH_MATMUL",
            [T("a", [5, 4]), T("b", [5, 6])],
            T("y", [4, 6]),
            kind="BatchMatMulOptions",
            adjX=True,
        ),
        4 * 6 * 5,
    ),
    # Steps * filters * (inputs + memory).
    "svdf": (
        single(
            "SVDF",
            [
                T("x", [1, 10]),
                T("wf", [4, 10], data=zeros(4, 10)),
                T("wt", [4, 6], data=zeros(4, 6)),
                T("b", [2], data=zeros(2)),
                T("s", [1, 24], variable=True),
            ],
            T("y", [1, 2]),
        ),
        4 * 10 + 4 * 6,
    ),
    # Seven steps of one batch: an input and a recurrent matrix of 5 units.
    "rnn": (
        single(
            "UNIDIRECTIONAL_SEQUENCE_RNN",
            [
                T("x", [1, 7, 3]),
                T("w", [5, 3], data=zeros(5, 3)),
                T("r", [5, 5], data=zeros(5, 5)),
                T("b", [5], data=zeros(5)),
                T("s", [1, 5], variable=True),
            ],
            T("y", [1, 7, 5]),
        ),
        7 * (15 + 25),
    ),
    "add": (single("ADD", [T("a", [1, 8]), T("b", [1, 8])], T("y", [1, 8])), 0),
    "free batch": (
        single(
            "FULLY_CONNECTED",
            [T("x", [1, 10], free=[-1, 10]), T("w", [5, 10], data=zeros(5, 10))],
            T("y", [1, 5], free=[-1, 5]),
        ),
        50,
    ),
}


@pytest.mark.parametrize(("graph", "count"), CASES.values(), ids=CASES)
def test_macs_are_as_counted_by_hand(graph: G, count: int) -> None:
    assert Macs(read(graph)).of_graph(0).value == count


def test_macs_of_an_lstm_count_every_gate_at_every_step() -> None:
    inputs = [T("x", [1, 6, 4])]
    inputs += [T(f"i{n}", [16, 4], data=zeros(16, 4)) for n in range(4)]
    inputs += [T(f"r{n}", [16, 16], data=zeros(16, 16)) for n in range(4)]
    inputs += [T(f"b{n}", [16], data=zeros(16)) for n in range(4)]
    inputs += [T("h", [1, 16], variable=True), T("c", [1, 16], variable=True)]
    graph = single("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, T("y", [1, 6, 16]))
    assert Macs(read(graph)).of_graph(0).value == 6 * 4 * (16 * 4 + 16 * 16)


UNKNOWN = {
    "free size": (
        single(
            "CONV_2D",
            [T("x", [1, 1, 1, 3]), T("w", [8, 3, 3, 3], data=zeros(8, 3, 3, 3))],
            T("y", [1, 1, 1, 8], free=[1, -1, -1, 8]),
        ),
        "'y' is free",
    ),
    "custom": (single("Sinh", [T("x", [1])], T("y", [1])), "custom operator Sinh"),
    "no rank": (
        single(
            "CONV_2D",
            [T("x", [1, 4, 4, 3]), T("w", [8, 3, 3, 3], data=zeros(8, 3, 3, 3))],
            T("y", []),
        ),
        "only known once the model runs",
    ),
}


@pytest.mark.parametrize(("graph", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_macs_are_unavailable_where_the_file_does_not_tell(graph: G, reason: str) -> None:
    found = Macs(read(graph)).of_graph(0)
    assert found.how == "unavailable"
    assert reason in found.reason


def loop(body: int) -> G:
    options = {"kind": "WhileOptions", "condSubgraphIndex": 1, "bodySubgraphIndex": body}
    node = N("WHILE", ["x"], ["y"], options=options)
    return G([T("x", [1, 100]), T("y", [1, 100])], [node], ["x"], ["y"])


BRANCH = G([T("p", [1, 100]), T("q", [1, 100])], [N("RELU", ["p"], ["q"])], ["p"], ["q"], None)
CONDITION = G(
    [T("p", [1, 100]), T("q", [], "BOOL")], [N("LESS", ["p", "p"], ["q"])], ["p"], ["q"], None
)


def test_macs_of_a_loop_are_unavailable() -> None:
    found = Macs(read(loop(2), CONDITION, BRANCH)).of_graph(0)
    assert "depends on the data" in found.reason


def test_peak_memory_of_a_residual_block_is_as_planned_by_hand() -> None:
    # x 400 -> a 800 -> b 400 -> y = x + b: while a and b live, x has to wait for the sum.
    tensors = [
        T("x", [1, 100]),
        T("a", [1, 200]),
        T("b", [1, 100]),
        T("y", [1, 100]),
        T("w", [200, 100], data=zeros(200, 100)),
        T("v", [100, 200], data=zeros(100, 200)),
    ]
    nodes = [
        N("FULLY_CONNECTED", ["x", "w"], ["a"]),
        N("FULLY_CONNECTED", ["a", "v"], ["b"]),
        N("ADD", ["x", "b"], ["y"]),
    ]
    plan = memory.plan(read(G(tensors, nodes, ["x"], ["y"])), 0)
    assert plan.peak.value == 400 + 800 + 400
    assert (plan.node, plan.operator) == (1, "FULLY_CONNECTED (b)")
    assert plan.live == (("a", 800), ("x", 400), ("b", 400))


def test_peak_memory_frees_the_input_of_a_chain() -> None:
    tensors = [T("x", [1, 100]), T("a", [1, 10]), T("y", [1, 50])]
    nodes = [N("RELU", ["x"], ["a"]), N("RELU", ["a"], ["y"])]
    plan = memory.plan(read(G(tensors, nodes, ["x"], ["y"])), 0)
    assert (plan.peak.value, plan.node) == (440, 0)


def test_peak_memory_holds_variables_always_and_int4_in_halves() -> None:
    tensors = [T("x", [1, 100], "INT4"), T("s", [1, 30], variable=True), T("y", [1, 100], "INT4")]
    plan = memory.plan(read(G(tensors, [N("RELU", ["x"], ["y"])], ["x"], ["y"])), 0)
    assert (plan.peak.value, plan.state) == (50 + 50 + 120, 120)


def test_peak_memory_counts_the_larger_graph_of_a_loop() -> None:
    plan = memory.plan(read(loop(2), CONDITION, BRANCH), 0)
    assert plan.peak.value == 400 + 400 + 800


def test_peak_memory_of_a_graph_that_runs_itself_is_unavailable() -> None:
    file = read(loop(0), CONDITION)
    assert "runs itself" in memory.plan(file, 0).peak.reason


def test_peak_memory_leaves_weights_out_that_dequantize_unpacks() -> None:
    tensors = [
        T("x", [1, 10]),
        T("w16", [5, 10], "FLOAT16", zeros(5, 10, dtype="float16")),
        T("w", [5, 10]),
        T("y", [1, 5]),
    ]
    nodes = [N("DEQUANTIZE", ["w16"], ["w"]), N("FULLY_CONNECTED", ["x", "w"], ["y"])]
    file = read(G(tensors, nodes, ["x"], ["y"]))
    plan = memory.plan(file, 0)
    assert (plan.peak.value, plan.unpacked) == (40 + 20, 200)
    labels = [one.label for one in computed_precision.precisions(file, file.graphs[0])]
    assert labels == ["float16 to float32", "float32 (float16 weights)"]


def dense(activation: str, weight: str) -> G:
    kind = {"INT8": "int8", "INT4": "int8", "UINT8": "uint8", "FLOAT32": "float32"}[weight]
    content = zeros(5 if weight == "INT4" else 10, 10 if weight != "INT4" else 5, dtype=kind)
    shape = [10, 10] if weight != "INT4" else [5, 10]
    return single(
        "FULLY_CONNECTED",
        [T("x", [1, 10], activation), T("w", shape, weight, content)],
        T("y", [1, shape[0]], activation),
    )


@pytest.mark.parametrize(
    ("activation", "weight", "label", "kind"),
    [
        ("INT8", "INT8", "int8", "integer"),
        ("UINT8", "UINT8", "uint8", "integer"),
        ("INT16", "INT8", "int16x8", "integer"),
        ("INT8", "INT4", "int8 (int4 weights)", "integer"),
        ("FLOAT32", "INT8", "dynamic int8", "dynamic"),
        ("FLOAT32", "INT4", "dynamic int4", "dynamic"),
        ("FLOAT32", "FLOAT32", "float32", "float"),
    ],
)
def test_precision_is_what_a_node_computes_in(
    activation: str, weight: str, label: str, kind: str
) -> None:
    file = read(dense(activation, weight))
    (found,) = computed_precision.precisions(file, file.graphs[0])
    assert (found.label, found.kind) == (label, kind)


def island() -> G:
    """Int8 dense, ELU in float between DEQUANTIZE and QUANTIZE, int8 softmax."""
    base = int8_dense()
    tensors = [*base.tensors, T("f", [1, 3]), T("g", [1, 3]), T("q", [1, 3], "INT8", scale=[0.25])]
    nodes = [
        base.nodes[0],
        N("DEQUANTIZE", ["h"], ["f"], 2),
        N("ELU", ["f"], ["g"]),
        N("QUANTIZE", ["g"], ["q"]),
        N("SOFTMAX", ["q"], ["y"], 2),
    ]
    return G(tensors, nodes, ["x"], ["y"])


def test_island_is_the_float_part_between_dequantize_and_quantize() -> None:
    file = read(island())
    found = computed_precision.precisions(file, file.graphs[0])
    (only,) = computed_precision.islands(0, file.graphs[0], found)
    assert (only.nodes, only.place) == ((2,), "inside")


def test_float_files_have_no_islands() -> None:
    file = read(dense("FLOAT32", "FLOAT32"))
    assert (
        computed_precision.islands(
            0, file.graphs[0], computed_precision.precisions(file, file.graphs[0])
        )
        == ()
    )


def test_weights_tell_zeros_values_and_what_zip_leaves() -> None:
    content = np.array([[0, 0, 1, 2], [0, 2, 2, 0]], "int8")
    real = np.array([0.0, -0.0, 1.5, 1.5], "float32")
    graph = G(
        [T("x", [1, 4]), T("w", [2, 4], "INT8", content), T("f", [4], data=real), T("y", [1, 2])],
        [N("FULLY_CONNECTED", ["x", "w", "f"], ["y"])],
        ["x"],
        ["y"],
    )
    file = read(graph)
    rows = {row.tensor: row for row in weights(file)}
    assert (rows["w"].bytes, rows["w"].sparsity, rows["w"].unique) == (8, 0.5, 3)
    assert (rows["f"].bytes, rows["f"].sparsity, rows["f"].unique) == (16, 0.5, 2)
    assert (rows["w"].layer, rows["w"].operator) == ("y", "FULLY_CONNECTED")
    assert rows["w"].share == 8 / file.size
    assert sum(remainder(file, weights(file)).values()) + 24 == file.size


def test_zero_of_asymmetric_weights_is_their_zero_point() -> None:
    content = np.array([[128, 128, 128, 7]], "uint8")
    weight = T("w", [1, 4], "UINT8", content, scale=[1.0], zero=[128])
    file = read(single("FULLY_CONNECTED", [T("x", [1, 4], "UINT8"), weight], T("y", [1, 1])))
    assert weights(file)[0].sparsity == 0.75


def test_shared_buffers_are_counted_once() -> None:
    tensors = [
        T("x", [1, 4]),
        T("w", [4, 4], data=np.eye(4, dtype="f4")),
        T("v", [4, 4], buffer="w"),
        T("h", [1, 4]),
        T("y", [1, 4]),
    ]
    nodes = [N("FULLY_CONNECTED", ["x", "w"], ["h"]), N("FULLY_CONNECTED", ["h", "v"], ["y"])]
    rows = weights(read(G(tensors, nodes, ["x"], ["y"])))
    assert [(row.tensor, row.bytes, row.shared_with) for row in rows] == [
        ("w", 64, ""),
        ("v", 0, "w"),
    ]


def test_remainder_tells_metadata_and_unused_buffers() -> None:
    file = read(int8_dense(), metadata={"note": b"n" * 300}, spare=b"s" * 200)
    rest = remainder(file, weights(file))
    assert (rest["metadata"], rest["unused"]) == (300, 200)


def test_built_files_run(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=build(int8_dense()))
    interpreter.allocate_tensors()
    interpreter.invoke()
