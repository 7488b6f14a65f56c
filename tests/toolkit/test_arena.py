"""The tensor arena as measurements: by hand, and what cannot be known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekit.pipeline.arena import affordable
from edgekit.targets.devices import arena as module
from edgekit.targets.devices.arena import Arena, read
from edgekit.types import Request, RunnerModel

# As TFLM's recorder prints them for a network of 10 tensors, 2 of them ends, and 3 operators.
PARTS = {
    "TfLiteEvalTensor data": {"bytes": 240, "requested": 240, "count": 10},
    "Persistent TfLiteTensor data": {"bytes": 128, "requested": 128, "count": 2},
    "Persistent TfLiteTensor quantization data": {"bytes": 64, "requested": 64, "count": 4},
    "Persistent buffer data": {"bytes": 264, "requested": 232, "count": 5},
    "NodeAndRegistration struct": {"bytes": 192, "requested": 192, "count": 3},
}


def result(**changes: Any) -> dict[str, Any]:
    return {
        "arena_bytes": 1936,
        "recorded_bytes": 1504,
        "margin": 1936 / 1504 - 1,
        "items": 8,
        "recorded": {"total": 1504, "head": 32, "tail": 1472, "parts": PARTS},
        **changes,
    }


def test_arena_is_measured_and_the_recorder_stands_beside_it() -> None:
    found = read(result(), "0.dev1")
    assert (found.smallest.value, found.recorded.value) == (1936.0, 1504.0)
    assert found.margin.value == pytest.approx(0.2872, abs=1e-4)
    assert {m.how for m in (found.smallest, found.recorded, found.margin)} == {"measured"}
    assert found.smallest.n == 8
    assert found.smallest.tool.startswith("tflm 0.dev1")
    assert found.recorded.tool == "RecordingMicroAllocator"


def test_estimate_for_32_bits_by_hand() -> None:
    found = read(result(), "0.dev1").estimated_32bit
    structures = 10 * 12 + 2 * 24 + 2 * 12 + 3 * 32
    allocators = (104 + 272 + 72) - (36 + 36 + 44)
    assert found.value == (1936 - structures - allocators) // 16 * 16
    assert found.how == "estimated"
    assert "pointers" in found.tool


def test_estimate_is_unavailable_when_the_recorder_names_no_structure() -> None:
    nothing = {"total": 1504, "parts": {"Persistent buffer data": PARTS["Persistent buffer data"]}}
    found = read(result(recorded=nothing), "0.dev1").estimated_32bit
    assert (found.how, found.reason) == ("unavailable", module.UNSEEN)


def test_unavailable_arena_carries_its_reason() -> None:
    found = Arena.unavailable("tflite-micro is not installed")
    assert {m.reason for m in (found.smallest, found.recorded, found.margin)} == {
        "tflite-micro is not installed"
    }
    assert found.estimated_32bit.value is None


@pytest.mark.parametrize(
    ("runtime", "seconds", "count"),
    [("tflm", 0.01, 200), ("tflm", 0.2, 100), ("tflm", 9.0, 16), ("tflite-runtime", 9.0, 200)],
)
def test_slow_models_answer_fewer_items_on_tflm(runtime: str, seconds: float, count: int) -> None:
    def first(request: Request) -> dict[str, Any]:
        assert request.items == (0, 1)
        return {"models": {"int8": {"first_ns": int(seconds * 1e9)}}}

    device: Any = SimpleNamespace(run=first)
    asked = Request("evaluate", (RunnerModel("int8", Path("model.tflite")),), runtime=runtime)
    assert affordable(device, asked, 200) == count
    assert affordable(device, asked, 10) == 10


def test_time_by_operator_is_unavailable() -> None:
    assert (
        module.ticks().reason == "the tflite-micro package makes its interpreter without a profiler"
    )
