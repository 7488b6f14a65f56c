"""Every finding has a file that plants its fault, and none is told of a sound file."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_files import G, N, T, build, int8_dense

from edgekit.converters import flatbuffer
from edgekit.converters.inspection import Inspection, explain
from edgekit.converters.inspection.findings import CHECKS

BIG = np.arange(2048, dtype="float32").reshape(32, 64)


def explained(content: bytes) -> Inspection:
    return explain(Path("built.tflite"), flatbuffer.parse(content, "built"), "")


def found(content: bytes) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Severity and places by code."""
    return {one.code: (one.severity, one.places) for one in explained(content).findings}


def chain(tensors: list[T], *nodes: N, **more: Any) -> bytes:
    """A graph from ``x`` to ``y``."""
    return build(G(tensors, nodes, ["x"], ["y"]), **more)


def relu(x: T, y: T) -> bytes:
    return chain([x, y], N("RELU", ["x"], ["y"]))


def island(weight: T | None = None) -> bytes:
    base = int8_dense()
    tensors = [
        *base.tensors,
        T("f", [1, 3]),
        T("g", [1, 3]),
        T("q", [1, 3], "INT8", scale=[0.25], zero=[3]),
    ]
    middle = N("ELU", ["f"], ["g"])
    if weight is not None:
        tensors.append(weight)
        middle = N("FULLY_CONNECTED", ["f", weight.name], ["g"])
    nodes = [
        base.nodes[0],
        N("DEQUANTIZE", ["h"], ["f"], 2),
        middle,
        N("QUANTIZE", ["g"], ["q"], 2),
        N("SOFTMAX", ["q"], ["y"], 2),
    ]
    return build(G(tensors, nodes, ["x"], ["y"]))


def requantized() -> bytes:
    base = int8_dense()
    tensors = [*base.tensors, T("f", [1, 3]), T("q", [1, 3], "INT8", scale=[0.25], zero=[3])]
    nodes = [
        base.nodes[0],
        N("DEQUANTIZE", ["h"], ["f"], 2),
        N("QUANTIZE", ["f"], ["q"], 2),
        N("SOFTMAX", ["q"], ["y"], 2),
    ]
    return build(G(tensors, nodes, ["x"], ["y"]))


def round_trip() -> bytes:
    tensors = [T("x", [1, 4]), T("q", [1, 4], "INT8", scale=[0.1]), T("f", [1, 4]), T("y", [1, 4])]
    return chain(
        tensors,
        N("QUANTIZE", ["x"], ["q"], 2),
        N("DEQUANTIZE", ["q"], ["f"], 2),
        N("RELU", ["f"], ["y"]),
    )


def dynamic_dense(version: int) -> bytes:
    weight = T("w", [3, 4], "INT8", np.ones((3, 4), "int8"), scale=[0.1, 0.2, 0.3])
    tensors = [T("x", [1, 4]), weight, T("y", [1, 3])]
    return chain(tensors, N("FULLY_CONNECTED", ["x", "w"], ["y"], version))


def two_inputs(signature: str | None) -> bytes:
    tensors = [T("a", [1, 4]), T("b", [1, 4]), T("y", [1, 4])]
    return build(G(tensors, [N("ADD", ["a", "b"], ["y"])], ["a", "b"], ["y"], signature))


def twice(**second: Any) -> bytes:
    """Two dense layers of one content."""
    tensors = [
        T("x", [1, 64]),
        T("w", [32, 64], data=BIG),
        T("v", [32, 64], **second),
        T("h", [1, 32]),
        T("k", [1, 32]),
        T("y", [1, 32]),
    ]
    return chain(
        tensors,
        N("FULLY_CONNECTED", ["x", "w"], ["h"]),
        N("FULLY_CONNECTED", ["x", "v"], ["k"]),
        N("ADD", ["h", "k"], ["y"]),
    )


def constant(data: Any) -> bytes:
    tensors = [T("x", [1, 4]), T("w", [3, 4], data=data), T("y", [1, 3])]
    # Without a bias: version 6.
    return chain(tensors, N("FULLY_CONNECTED", ["x", "w"], ["y"], 6))


def concatenated(scale: float) -> bytes:
    tensors = [T("x", [1, 4], "INT8", scale=[0.5]), T("y", [1, 8], "INT8", scale=[scale])]
    return chain(tensors, N("CONCATENATION", ["x", "x"], ["y"], 2))


def with_tensor(*extra: T) -> bytes:
    base = int8_dense()
    return build(replace(base, tensors=[*base.tensors, *extra]))


def changed(**changes: Any) -> bytes:
    return build(int8_dense(**changes))


def stateful() -> bytes:
    tensors = [
        T("x", [1, 3]),
        T("w", [2, 3], data=np.ones((2, 3), "f4")),
        T("r", [2, 2], data=np.ones((2, 2), "f4")),
        T("b", [2], data=np.ones(2, "f4")),
        T("s", [1, 2], variable=True),
        T("y", [1, 2]),
    ]
    return chain(tensors, N("RNN", ["x", "w", "r", "b", "s"], ["y"]))


def overlapping() -> bytes:
    """Three small constants whose buffers are made to be that of a large one."""
    base = int8_dense()
    large = T("large", [100_000], "INT8", np.ones(100_000, "int8"))
    content = bytearray(build(replace(base, tensors=[large, *base.tensors])))
    model = schema.Model.GetRootAs(content, 0)
    tables = [model.Buffers(i)._tab for i in range(1, model.BuffersLength())]
    places = [table.Pos + table.Offset(4) for table in tables]
    # Offsets lead forward only, and what is written first lies last.
    target = places[0] + struct.unpack_from("<I", content, places[0])[0]
    for place in places:
        struct.pack_into("<I", content, place, target - place)
    return bytes(content)


def wide() -> bytes:
    """A dense layer of 1,500 outputs and 4 inputs: 6,000 bytes of weights, 36,000 of scales."""
    steps = [0.01] * 1500
    tensors = [
        T("x", [1, 4], "INT8", scale=[0.1]),
        T("w", [1500, 4], "INT8", np.arange(6000, dtype="int32").astype("int8") | 1, scale=steps),
        T("b", [1500], "INT32", np.ones(1500, "int32"), scale=[0.001] * 1500),
        T("y", [1, 1500], "INT8", scale=[0.1]),
    ]
    return chain(tensors, N("FULLY_CONNECTED", ["x", "w", "b"], ["y"], 4))


# By code: severity, a place that must be named, and the file.
PLANTED = {
    "EK-INSPECT-001": ("warning", "ELU inside (g)", island()),
    "EK-INSPECT-002": ("warning", "f", requantized()),
    "EK-INSPECT-003": ("warning", "q", round_trip()),
    "EK-INSPECT-004": ("warning", "x [?, 4]", relu(T("x", [1, 4], free=[-1, 4]), T("y", [1, 4]))),
    "EK-INSPECT-005": ("warning", "x [1, ?]", relu(T("x", [1, 1], free=[1, -1]), T("y", [1, 1]))),
    "EK-INSPECT-006": (
        "warning",
        "FlexErf",
        chain([T("x", [1]), T("y", [1])], N("FlexErf", ["x"], ["y"])),
    ),
    "EK-INSPECT-007": (
        "info",
        "edgetpu-custom-op",
        chain([T("x", [1]), T("y", [1])], N("edgetpu-custom-op", ["x"], ["y"])),
    ),
    "EK-INSPECT-008": (
        "warning",
        "Sinh",
        chain([T("x", [1]), T("y", [1])], N("Sinh", ["x"], ["y"])),
    ),
    "EK-INSPECT-009": ("warning", "s", stateful()),
    "EK-INSPECT-010": ("warning", "x", relu(T("x", [1], "STRING"), T("y", [1], "STRING"))),
    "EK-INSPECT-011": ("warning", "b", two_inputs(None)),
    "EK-INSPECT-012": ("error", "", build(G([T("x", [1])], [], ["x"], ["x"]))),
    "EK-INSPECT-013": ("error", "w (read by FULLY_CONNECTED)", changed(w={"data": None})),
    "EK-INSPECT-014": (
        "error",
        "x (RELU)",
        chain([T("x", [1]), T("y", [1])], N("RELU", ["x"], ["x"]), N("RELU", ["x"], ["y"])),
    ),
    "EK-INSPECT-015": (
        "error",
        "RELU (y): float32+int8",
        relu(T("x", [1, 4], "INT8", scale=[1.0]), T("y", [1, 4])),
    ),
    "EK-INSPECT-020": ("error", "h (scale 0)", changed(h={"scale": [0.0]})),
    "EK-INSPECT-021": ("warning", "h (scale 1e+09)", changed(h={"scale": [1e9]})),
    "EK-INSPECT-022": ("error", "h (zero point 200, int8)", changed(h={"zero": [200]})),
    "EK-INSPECT-023": ("error", "w (int8 weights)", changed(w={"zero": [5]})),
    "EK-INSPECT-024": ("warning", "SOFTMAX (y): scale 0.01", changed(y={"scale": [0.01]})),
    "EK-INSPECT-025": ("warning", "CONCATENATION (y): 25%", concatenated(0.25)),
    "EK-INSPECT-026": (
        "info",
        "w (x2e+03)",
        changed(w={"scale": [1e-4, 0.02, 0.2]}, b={"scale": [5e-5, 0.01, 0.1]}),
    ),
    "EK-INSPECT-027": ("error", "FULLY_CONNECTED (h)", changed(b={"scale": [0.1]})),
    "EK-INSPECT-028": ("warning", "x", changed(x={"scale": []})),
    "EK-INSPECT-029": ("error", "b [3] (dimension 3)", changed(b={"axis": 3})),
    "EK-INSPECT-030": ("warning", "big (8,192 B)", island(T("big", [32, 64], data=BIG))),
    "EK-INSPECT-031": ("error", "w", constant(np.full((3, 4), np.nan, "float32"))),
    "EK-INSPECT-032": ("error", "w [3, 4] FLOAT32: 8 B", constant(np.zeros(2, "float32"))),
    "EK-INSPECT-033": ("warning", "w = v", twice(data=BIG)),
    "EK-INSPECT-034": ("info", "v = w", twice(buffer="w")),
    "EK-INSPECT-035": ("info", "spare", with_tensor(T("spare", [1]))),
    "EK-INSPECT-036": ("info", "h (x2)", with_tensor(T("h", [1]))),
    "EK-INSPECT-037": ("warning", "x", build(G([T("x", [1])], [], ["x"], ["x"]))),
    "EK-INSPECT-038": (
        "info",
        "notes (9,000 B)",
        build(int8_dense(), metadata={"notes": b"n" * 9000}),
    ),
    "EK-INSPECT-039": ("error", "b", overlapping()),
    "EK-INSPECT-040": ("warning", "y", dynamic_dense(12)),
    "EK-INSPECT-041": ("warning", "y", dynamic_dense(3)),
    "EK-INSPECT-042": (
        "warning",
        "SOFTMAX says 1, needs 2 (y)",
        build(replace(int8_dense(), nodes=[int8_dense().nodes[0], N("SOFTMAX", ["h"], ["y"], 1)])),
    ),
    "EK-INSPECT-044": (
        "info",
        "TFLite_Detection_PostProcess",
        chain([T("x", [1]), T("y", [1])], N("TFLite_Detection_PostProcess", ["x"], ["y"])),
    ),
    "EK-INSPECT-045": ("warning", "w [1500, 4]: 1,500", wide()),
    "EK-INSPECT-043": (
        "info",
        "FULLY_CONNECTED version 4 (h)",
        build(int8_dense(), metadata={"min_runtime_version": b"1.5.0"}),
    ),
}


@pytest.mark.parametrize("code", PLANTED)
def test_planted_fault_is_found(code: str) -> None:
    severity, place, content = PLANTED[code]
    told = found(content)
    assert code in told, told
    assert told[code][0] == severity
    if place:
        assert place in told[code][1]


def test_every_finding_has_a_planted_fault() -> None:
    codes = {"runtimes.per_channel_dense": 2, "structure.custom": 3}
    assert len(PLANTED) == len(CHECKS) + sum(codes.values()) - len(codes)


@pytest.mark.parametrize(
    "content",
    [
        build(int8_dense(), metadata={"min_runtime_version": b"1.14.0"}),
        two_inputs("serving_default"),
        constant(np.ones((3, 4), "float32")),
        concatenated(0.5),
        relu(T("x", [1, 4]), T("y", [1, 4])),
    ],
    ids=["int8", "signature", "float", "concatenation", "relu"],
)
def test_sound_files_have_no_findings(content: bytes) -> None:
    assert found(content) == {}


def test_unused_buffers_are_told() -> None:
    told = explained(build(int8_dense(), spare=b"s" * 9000)).findings
    assert any("buffers that no tensor uses" in one.message for one in told)


def test_errors_come_first() -> None:
    base = int8_dense(h={"scale": [0.0]}, x={"free": [-1, 4]})
    severities = [one.severity for one in explained(build(base)).findings]
    assert severities[0] == "error"
    order = ["error", "warning", "info"]
    assert severities == sorted(severities, key=order.index)


def test_explicit_dequantize_allows_asymmetric_weights() -> None:
    tensors = [
        T("x", [1, 4]),
        T("w", [3, 4], "INT8", np.ones((3, 4), "int8"), scale=[0.1], zero=[7]),
        T("f", [3, 4]),
        T("y", [1, 3]),
    ]
    told = found(
        chain(tensors, N("DEQUANTIZE", ["w"], ["f"], 2), N("FULLY_CONNECTED", ["x", "f"], ["y"]))
    )
    assert "EK-INSPECT-023" not in told


def test_scalar_shape_operand_is_no_missing_constant() -> None:
    shape = T("shape", [0], "INT32", np.zeros(0, "int32"))
    content = chain([T("x", [1]), shape, T("y", [])], N("RESHAPE", ["x", "shape"], ["y"]))
    assert found(content) == {}


def test_scratch_memory_of_a_compiled_program_is_no_missing_constant() -> None:
    stream = T("stream", [4], "UINT8", np.frombuffer(b"COP1", "uint8"))
    content = chain(
        [
            T("x", [1, 4], "INT8", scale=[0.5]),
            stream,
            T("scratch", [64], "UINT8"),
            T("y", [1, 4], "INT8", scale=[0.5]),
        ],
        N("ethos-u", ["stream", "scratch", "x"], ["y"]),
    )
    assert set(found(content)) == {"EK-INSPECT-007"}


def test_complex_numbers_are_float() -> None:
    tensors = [
        T("x", [1, 8]),
        T("n", [1], "INT32", np.array([8], "int32")),
        T("c", [1, 5], "COMPLEX64"),
        T("r", [1, 5], "COMPLEX64"),
        T("y", [1, 5]),
    ]
    told = explained(
        chain(
            tensors,
            N("RFFT2D", ["x", "n"], ["c"]),
            N("RESHAPE", ["c"], ["r"]),
            N("REAL", ["r"], ["y"]),
        )
    )
    assert {layer.precision.kind for layer in told.layers} == {"float"}
    assert "EK-INSPECT-001" not in {one.code for one in told.findings}


def variables() -> bytes:
    """One resource variable of 12 bytes, with a handle in each of two graphs."""
    named = {"kind": "VarHandleOptions", "sharedName": "state"}
    value = T("v", [1, 3], ranked=True)
    main = G(
        [T("x", [1, 3]), T("h", [], "RESOURCE", ranked=False), value, T("y", [1, 3])],
        [
            N("CALL_ONCE", [], [], options={"kind": "CallOnceOptions", "initSubgraphIndex": 1}),
            N("VAR_HANDLE", [], ["h"], options=named),
            N("READ_VARIABLE", ["h"], ["v"]),
            N("ADD", ["x", "v"], ["y"]),
            N("ASSIGN_VARIABLE", ["h", "y"], []),
        ],
        ["x"],
        ["y"],
    )
    first = T("z", [1, 3], data=np.zeros((1, 3), "f4"))
    nodes = [N("VAR_HANDLE", [], ["h"], options=named), N("ASSIGN_VARIABLE", ["h", "z"], [])]
    return build(main, G([T("h", [], "RESOURCE"), first], nodes, signature=None))


def test_resource_variable_is_counted_once_and_in_memory() -> None:
    told = explained(variables())
    (finding,) = [one for one in told.findings if one.code == "EK-INSPECT-009"]
    assert finding.places == ("state",)
    assert finding.fix.startswith("make a new interpreter")
    assert "call reset_all_variables" not in finding.fix
    memory = told.entries[0].memory
    # x, v and y of 12 bytes each at ADD, and the variable.
    assert (memory.state, memory.peak.value) == (12, 48)


def test_unknown_rank_is_no_scalar() -> None:
    tensors = [T("x", [1, 4], ranked=True), T("y", [], ranked=False), T("s", [], ranked=True)]
    told = explained(
        build(G(tensors, [N("RELU", ["x"], ["y"]), N("SUM", ["x"], ["s"])], ["x"], ["y", "s"]))
    )
    assert [edge.shape for edge in told.entries[0].outputs] == ["[...]", "[]"]
    peak = told.entries[0].memory.peak
    assert peak.value is None
    assert "'y' is only known once the model runs" in str(peak.reason)


def test_file_that_never_says_its_ranks_has_scalars() -> None:
    told = explained(chain([T("x", [4]), T("y", [])], N("SUM", ["x"], ["y"])))
    assert told.entries[0].outputs[0].shape == "[]"
