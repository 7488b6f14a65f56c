"""Compiling for Ethos-U: estimates of what runs on the NPU, and refusals of what does not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from rewriting import rewrite

from edgekit.converters import flatbuffer
from edgekit.converters.micro import resolver, vela
from edgekit.converters.micro.operations import macs
from edgekit.errors import ConversionError, DeviceError, ExitCode

needs_vela = pytest.mark.skipif(
    importlib.util.find_spec("ethosu") is None, reason="ethos-u-vela is not installed"
)


@needs_vela
@pytest.mark.parametrize("accelerator", vela.ACCELERATORS)
def test_int8_model_runs_on_the_npu_as_a_whole(
    converted: Path, tmp_path: Path, accelerator: str
) -> None:
    found = vela.compile_model(converted / "int8.tflite", accelerator, tmp_path)
    assert (found.operators_on_npu.value, found.macs_on_npu.value, found.on_cpu) == (1.0, 1.0, ())
    assert found.cycles.value is not None
    assert found.latency.value is not None
    assert found.cycles.value > 1000
    # The clocks of vela's configurations are 500 MHz and 1 GHz.
    assert found.latency.value / found.cycles.value in (pytest.approx(2), pytest.approx(1))
    held = (found.sram.value or 0) + (found.dram.value or 0) + (found.flash.value or 0)
    assert 5_000 < held < 1_000_000
    for measured in (found.cycles, found.latency, found.sram, found.flash, found.macs_on_npu):
        assert measured.how == "estimated"
        assert measured.tool.startswith(f"ethos-u-vela {vela.version()} (Ethos_U")
    assert resolver.methods(flatbuffer.read(found.path)) == ("AddEthosU",)


@needs_vela
@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic"])
def test_float_model_is_an_error_that_names_its_operators(
    converted: Path, tmp_path: Path, precision: str
) -> None:
    with pytest.raises(ConversionError, match=r"EK-CONVERT-101.*in float.*CONV_2D \(") as caught:
        vela.compile_model(converted / f"{precision}.tflite", "ethos-u55-128", tmp_path)
    assert caught.value.exit_code is ExitCode.INCOMPATIBLE
    assert "int8" in caught.value.hint


@needs_vela
def test_zero_cycles_of_a_float_model_are_never_believed(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vela, "_refuse", lambda *_: None)
    with pytest.raises(ConversionError, match="every operator stays on the CPU"):
        vela.compile_model(converted / "float32.tflite", "ethos-u55-128", tmp_path)
    (summary,) = tmp_path.glob("*.csv")
    assert summary.read_text().rstrip().endswith(",0")


@needs_vela
def test_operators_on_the_cpu_are_named_and_take_the_latency_away(
    converted: Path, tmp_path: Path
) -> None:
    found = vela.compile_model(converted / "elu-int8.tflite", "ethos-u55-128", tmp_path)
    assert any(operator.startswith("ELU (") for operator in found.on_cpu)
    assert found.operators_on_npu.value is not None
    assert 0 < found.operators_on_npu.value < 1
    assert found.latency.how == "unavailable"
    assert "stay on the CPU" in found.latency.reason


@needs_vela
def test_free_dimension_is_an_error_that_names_the_tensor(converted: Path, tmp_path: Path) -> None:
    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        tensor = graph.tensors[graph.inputs[0]]
        tensor.shapeSignature = [-1, *list(tensor.shape)[1:]]

    path = rewrite(converted / "int8.tflite", tmp_path / "free.tflite", edit)
    with pytest.raises(ConversionError, match=r"EK-CONVERT-102.*image.*free dimension"):
        vela.compile_model(path, "ethos-u55-128", tmp_path)


@needs_vela
def test_velas_own_reason_is_in_the_error(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="EK-CONVERT-103") as caught:
        vela.compile_model(
            converted / "int8.tflite", "ethos-u55-128", tmp_path, memory_mode="Nowhere"
        )
    assert "Memory_Mode.Nowhere" in caught.value.hint


@needs_vela
def test_time_limit_ends_the_compiler(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"EK-CONVERT-103.*longer than 0\.05 s"):
        vela.compile_model(converted / "int8.tflite", "ethos-u55-128", tmp_path, seconds=0.05)


@pytest.mark.parametrize(
    ("accelerator", "system_config"),
    [("ethos-u56-128", ""), ("ethos-u55-512", ""), ("ethos-u55-128", "Ethos_U65_High_End")],
)
def test_unknown_configuration_is_an_error(
    converted: Path, tmp_path: Path, accelerator: str, system_config: str
) -> None:
    with pytest.raises(ConversionError, match="EK-CONVERT-105"):
        vela.compile_model(converted / "int8.tflite", accelerator, tmp_path, system_config)


def test_missing_compiler_is_unavailable_and_says_how_to_get_it(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DeviceError, match="EK-DEVICE-010") as caught:
        vela.compile_model(converted / "int8.tflite", "ethos-u55-128", tmp_path)
    assert caught.value.exit_code is ExitCode.UNAVAILABLE
    assert "edgekit[micro]" in caught.value.hint


def test_macs_are_those_of_the_layers(converted: Path) -> None:
    # Two 3x3 convolutions on 8x8 with 16 channels out, then 256 to 10: converting's network.
    expected = 64 * 16 * 9 * 1 + 64 * 16 * 9 * 16 + 4 * 4 * 16 * 10
    assert macs(flatbuffer.read(converted / "int8.tflite")) == expected
