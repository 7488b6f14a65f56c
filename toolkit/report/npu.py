"""An NPU's estimates in words: below the target they are of."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report import words
from edgekit.types import Measurement, NpuEstimate

MOST_NAMED = 3


def npu_lines(npu: NpuEstimate) -> Iterator[str]:
    """Yield what the compiler estimates, and what it leaves to the CPU."""
    parts = [_latency(npu), f"SRAM {_size(npu.sram)}"]
    parts += [f"DRAM {_size(npu.dram)}"] if npu.dram.value else []
    parts += [f"flash {_size(npu.flash)}"] if npu.flash.value else []
    yield f"  {npu.accelerator}: {', '.join(parts)}; estimated by {_tool(npu)}, not measured"
    operators, macs = npu.operators_on_npu.value or 0.0, npu.macs_on_npu.value or 0.0
    shares = f"{words.share(operators)} of the operators and {words.share(macs)}"
    yield f"  on the NPU: {shares} of the multiply-accumulates{_rest(npu)}"
    yield f"  compiled {words.path(npu.path)} ({words.exact(npu.bytes)})"


def _latency(npu: NpuEstimate) -> str:
    cycles = f"{npu.cycles.value:,.0f} cycles" if npu.cycles.value is not None else ""
    if npu.latency.value is None:
        latency = f"latency unavailable, because {npu.latency.reason}"
        return f"{cycles} of the NPU, {latency}" if cycles else latency
    return f"about {words.duration(npu.latency)}, {cycles}"


def _size(measured: Measurement) -> str:
    return words.size(measured.value) if measured.value is not None else "unavailable"


def _tool(npu: NpuEstimate) -> str:
    return npu.operators_on_npu.tool or npu.compiler


def _rest(npu: NpuEstimate) -> str:
    if not npu.on_cpu:
        return ""
    return f"; on the CPU: {words.listed(npu.on_cpu, MOST_NAMED)}"
