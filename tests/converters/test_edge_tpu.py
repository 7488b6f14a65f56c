"""The Edge TPU's compiler: unavailable without it; its output is read as recorded elsewhere.

The compiler is the vendor's and not on PyPI. The recorded lines are of its versions 15 and 16, as
users have published them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.converters.micro import edge_tpu
from edgekit.errors import ConversionError, DeviceError, ExitCode
from edgekit.targets.runners.probe import probe_model

PARTLY = """Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 3388 ms.

Input size: 13.35MiB
Output size: 13.79MiB
On-chip memory used for caching model parameters: 6.15MiB
On-chip memory remaining for caching model parameters: 5.75KiB
Off-chip memory used for streaming uncached model parameters: 7.03MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 84

Number of operations that will run on Edge TPU: 78
Number of operations that will run on CPU: 6

Operator                       Count      Status

CONV_2D                        1          More than one subgraph is not supported
CONV_2D                        32         Mapped to Edge TPU
QUANTIZE                       5          Operation is otherwise supported, but not mapped due to some unspecified limitation
"""  # noqa: E501
WHOLLY = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 2270 ms.

Input size: 5.21MiB
Output size: 6.51MiB
On-chip memory used for caching model parameters: 6.02MiB
On-chip memory remaining for caching model parameters: 1.02MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 84
"""


def test_missing_compiler_is_unavailable_and_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="EK-DEVICE-011") as caught:
        edge_tpu.compile_model(tmp_path / "model.tflite", tmp_path)
    assert caught.value.exit_code is ExitCode.UNAVAILABLE
    assert "edgetpu-compiler" in caught.value.hint


def test_output_tells_what_stays_on_the_cpu_and_why() -> None:
    found = edge_tpu.parse(PARTLY)
    assert (found.operations, found.left) == (84, 6)
    assert found.on_cpu[0] == "1 CONV_2D (More than one subgraph is not supported)"
    assert len(found.on_cpu) == 2
    assert (found.cached, found.streamed) == (6.15 * 2**20, 7.03 * 2**20)


def test_output_without_a_count_for_the_cpu_means_that_all_was_mapped() -> None:
    found = edge_tpu.parse(WHOLLY)
    assert (found.operations, found.left, found.on_cpu) == (84, 0, ())
    assert (found.cached, found.streamed) == (6.02 * 2**20, 0.0)


@pytest.mark.parametrize("text", ["", "Internal compiler error. Aborting!"])
def test_output_that_counts_nothing_raises(text: str) -> None:
    with pytest.raises(ValueError, match="how many operations"):
        edge_tpu.parse(text)


def test_file_with_nothing_on_the_edge_tpu_is_an_error(tmp_path: Path) -> None:
    model = tmp_path / "probe.tflite"
    model.write_bytes(probe_model())
    with pytest.raises(ConversionError, match=r"EK-CONVERT-101.*every operator stays on the CPU"):
        edge_tpu.estimate(model, model, PARTLY, "recorded")


def test_compiled_file_is_read_with_the_output(test_data: Path) -> None:
    coral = test_data / "coral"
    found = edge_tpu.estimate(
        coral / "mobilenet_v1_0.25_128_quant.tflite",
        coral / "mobilenet_v1_0.25_128_quant_edgetpu.tflite",
        WHOLLY,
        "recorded",
    )
    assert (found.operators_on_npu.value, found.macs_on_npu.value) == (1.0, 1.0)
    assert (found.cycles.how, found.latency.how) == ("unavailable", "unavailable")
