"""Compile a quantized ``.tflite`` file for an Arm Ethos-U NPU with Arm's compiler Vela.

Sources: "Vela Options" and "Vela Performance Estimation Summary" of the ethos-u-vela
documentation; its configuration file Arm/vela.ini.
"""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.micro.compiler import run_compiler
from edgekit.converters.micro.operations import describe_node, is_float, macs, nodes
from edgekit.errors import CompilerFailed, ConversionError, DeviceError
from edgekit.process import tail
from edgekit.sandbox import Sandbox
from edgekit.store import sha256
from edgekit.types import Measurement, NpuEstimate

PACKAGE = "ethos-u-vela"
CONFIG = "Arm/vela.ini"
ETHOS_U = "ethos-u"
KIB = 1024
SECONDS = 600.0
LOG = "vela.log"


@dataclass(frozen=True)
class MemorySettings:
    """A system configuration and a memory mode of Arm/vela.ini."""

    system_config: str
    memory_mode: str


# Vela's own defaults for each family.
DEFAULTS: Mapping[str, MemorySettings] = {
    "ethos-u55": MemorySettings("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65": MemorySettings("Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    "ethos-u85": MemorySettings("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
}
# By multiply-accumulates per cycle.
ACCELERATORS = (
    "ethos-u55-32",
    "ethos-u55-64",
    "ethos-u55-128",
    "ethos-u55-256",
    "ethos-u65-256",
    "ethos-u65-512",
    "ethos-u85-128",
    "ethos-u85-256",
    "ethos-u85-512",
    "ethos-u85-1024",
    "ethos-u85-2048",
)


def version() -> str:
    """Return Vela's version. Raises :class:`DeviceError` if it is not installed."""
    # An empty namespace package of the same name is not the compiler.
    if importlib.util.find_spec("ethosu") and importlib.util.find_spec("ethosu.vela"):
        return metadata.version(PACKAGE)
    message = f"Arm's compiler {PACKAGE} is not installed"
    raise DeviceError("EK-DEVICE-010", message, "pip install 'edgekit[micro]'")


def compile_model(
    model: Path,
    accelerator: str,
    folder: Path,
    system_config: str = "",
    memory_mode: str = "",
    seconds: float = SECONDS,
) -> NpuEstimate:
    """Compile a file into ``folder``, and read what vela estimates of it.

    ``accelerator`` is one of :data:`ACCELERATORS`; without a system configuration and a memory mode
    they are vela's own for it. Raises :class:`ConversionError` for a file that computes in float or
    has a free dimension, and where vela refuses, crashes or takes longer than ``seconds``;
    :class:`DeviceError` where vela is not installed.
    """
    memories = _memories(accelerator, system_config, memory_mode)
    compiler = f"{PACKAGE} {version()}"
    source = flatbuffer.read(model)
    _refuse(source, accelerator)
    _run(model, accelerator, memories, folder, seconds)
    compiled = folder / f"{model.stem}_vela.tflite"
    rows = list(folder.glob(f"{model.stem}_summary_*.csv"))
    if not compiled.is_file() or len(rows) != 1:
        raise _failed(model, accelerator, "it wrote no compiled file and summary", folder)
    tool = f"{compiler} ({memories.system_config}, {memories.memory_mode})"
    return estimate(source, compiled, rows[0], accelerator, compiler, tool)


def estimate(
    source: TFLiteFile, compiled: Path, summary: Path, accelerator: str, compiler: str, tool: str
) -> NpuEstimate:
    """Return the facts of a compiled file and of vela's CSV.

    Raises :class:`ConversionError` where nothing of the model runs on the NPU: vela's own figures
    are then zero, which would read as infinitely fast.
    """
    with summary.open(encoding="utf-8", newline="") as lines:
        row = list(csv.DictReader(lines))[-1]
    file = flatbuffer.read(compiled)
    if not any(node.operator == ETHOS_U for _, node in nodes(file)):
        message = f"nothing of the model can run on {accelerator}: every operator stays on the CPU"
        raise ConversionError("EK-CONVERT-101", message, "convert to int8")
    on_cpu = _on_cpu(file)

    def figure(value: float, unit: str) -> Measurement:
        return Measurement(value, unit, "estimated", tool=tool)

    def kibibytes(*names: str) -> Measurement:
        return figure(sum(float(row[name]) for name in names) * KIB, "byte")

    latency = figure(float(row["inference_time"]) * 1e9, "ns")
    if on_cpu:
        reason = f"vela estimates the NPU's part only, and {len(on_cpu)} operators stay on the CPU"
        latency = Measurement.unavailable("ns", reason)
    return NpuEstimate(
        compiler=compiler,
        accelerator=accelerator,
        cycles=figure(float(row["cycles_total"]), "cycle"),
        latency=latency,
        sram=kibibytes("sram_memory_used"),
        dram=kibibytes("dram_memory_used"),
        flash=kibibytes("on_chip_flash_memory_used", "off_chip_flash_memory_used"),
        operators_on_npu=figure(_share(len(on_cpu), len(_on_cpu(source))), "share"),
        macs_on_npu=figure(_share(macs(file), macs(source)), "share"),
        on_cpu=on_cpu,
        path=compiled,
        sha256=sha256(compiled),
        bytes=compiled.stat().st_size,
    )


def _memories(accelerator: str, system_config: str, memory_mode: str) -> MemorySettings:
    if accelerator not in ACCELERATORS:
        message = f"vela knows no accelerator {accelerator!r}"
        raise ConversionError("EK-CONVERT-105", message, f"known: {', '.join(ACCELERATORS)}")
    family = accelerator.rpartition("-")[0]
    usual = DEFAULTS[family]
    chosen = MemorySettings(system_config or usual.system_config, memory_mode or usual.memory_mode)
    # Vela accepts another family's configuration without an error.
    prefix = family.replace("ethos-u", "Ethos_U") + "_"
    if not chosen.system_config.startswith(prefix):
        message = f"the system configuration {chosen.system_config} is not one of {accelerator}"
        raise ConversionError("EK-CONVERT-105", message, f"its names begin with {prefix}")
    return chosen


def _refuse(file: TFLiteFile, accelerator: str) -> None:
    """Raise for a file that vela compiles into nothing, or only by luck."""
    computing = [(g, n) for g, n in nodes(file) if n.operator not in ("QUANTIZE", "DEQUANTIZE")]
    floats = [describe_node(graph, node) for graph, node in computing if is_float(graph, node)]
    if floats and len(floats) == len(computing):
        named = ", ".join(floats[:3]) + (f" and {len(floats) - 3} more" if len(floats) > 3 else "")
        message = f"the model computes in float, and {accelerator} only in integers: {named}"
        raise ConversionError("EK-CONVERT-101", message, "convert to int8: --precision int8")
    free = [t.name for t in (*file.inputs, *file.outputs) if -1 in (*t.shape, *t.signature_shape)]
    if free:
        message = f"{', '.join(map(repr, free))} has a free dimension, and {accelerator} needs all"
        hint = "convert with every size fixed; edgekit does where the data says what they are"
        raise ConversionError("EK-CONVERT-102", f"{message} fixed", hint)


def _run(
    model: Path, accelerator: str, memories: MemorySettings, folder: Path, seconds: float
) -> None:
    command = [
        sys.executable,
        "-m",
        "ethosu.vela",
        str(model.resolve()),
        "--accelerator-config",
        accelerator,
        "--config",
        CONFIG,
        "--system-config",
        memories.system_config,
        "--memory-mode",
        memories.memory_mode,
        "--output-dir",
        str(folder.resolve()),
    ]
    sandbox = Sandbox((model.absolute(),), (folder.absolute(),))
    failure = run_compiler(command, sandbox, folder, folder / LOG, seconds)
    if failure:
        raise _failed(model, accelerator, failure, folder)


def _failed(model: Path, accelerator: str, reason: str, folder: Path) -> ConversionError:
    message = f"vela cannot compile {model.name} for {accelerator}: {reason}"
    return CompilerFailed("EK-CONVERT-103", message, tail(folder / LOG))


def _on_cpu(file: TFLiteFile) -> tuple[str, ...]:
    """List the operators that stay on the CPU, with their tensors."""
    return tuple(
        describe_node(graph, node) for graph, node in nodes(file) if node.operator != ETHOS_U
    )


def _share(left: float, all_of_it: float) -> float:
    """Return the share that went to the NPU; 1 if there was nothing to move."""
    return 1 - min(left, all_of_it) / all_of_it if all_of_it else 1.0
