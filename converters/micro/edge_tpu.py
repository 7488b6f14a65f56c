"""Compile a quantized ``.tflite`` file for Google's Edge TPU with the vendor's compiler.

Source: "Edge TPU Compiler" of the Coral documentation.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.micro.compiler import run_compiler
from edgekit.converters.micro.operations import macs, nodes
from edgekit.errors import ConversionError, DeviceError
from edgekit.process import tail
from edgekit.sandbox import Sandbox
from edgekit.store import sha256
from edgekit.types import Measurement, NpuEstimate

COMMAND = "edgetpu_compiler"
ACCELERATOR = "edge-tpu"
EDGE_TPU = "edgetpu-custom-op"
ON_TPU = "Mapped to Edge TPU"
SECONDS = 600.0
LOG = "edge_tpu.log"
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
NOT_ESTIMATED = "the Edge TPU compiler estimates no cycles and no latency"


def refusal(file: TFLiteFile) -> tuple[str, str] | None:
    """Say why the compiler maps nothing of a file, by its documentation, and the fix; else None.

    Source: "TensorFlow models on the Edge TPU", model requirements.
    """
    free = [t.name for t in (*file.inputs, *file.outputs) if -1 in (*t.shape, *t.signature_shape)]
    if free:
        reason = f"the Edge TPU takes fixed sizes only, and {free[0]!r} has a free one"
        return reason, "convert with every size fixed, and a batch of 1"
    rows = [
        (node.operator, graph.tensors[i])
        for graph, node in nodes(file)
        if node.operator not in ("QUANTIZE", "DEQUANTIZE")
        for i in node.outputs
        if i >= 0
    ]
    wide = [(name, t) for name, t in rows if t.dtype == "INT16"]
    if wide and not any(t.dtype in ("INT8", "UINT8") for _, t in rows):
        reason = f"the Edge TPU takes 8-bit tensors, and {wide[0][0]} computes in int16"
        return reason, "convert with --precision int8"
    deep = [t for _, t in rows if len(t.shape) > 3 and any(size > 1 for size in t.shape[:-3])]
    if deep and deep[0] is rows[0][1]:
        reason = (
            "of more than three dimensions the Edge TPU takes those whose outer ones are 1, and"
            f" {deep[0].name.split(';')[0]!r} is {list(deep[0].shape)}"
        )
        return reason, "convert with a batch of 1"
    return None


def version() -> str:
    """Return the compiler's version line. Raises :class:`DeviceError` where it is not installed."""
    return _version(_command())


def compile_model(model: Path, folder: Path, seconds: float = SECONDS) -> NpuEstimate:
    """Compile a file into ``folder``, and read what the compiler reports.

    Raises :class:`ConversionError` for a file that is not quantized, and where the compiler
    refuses, crashes or takes longer than ``seconds``; :class:`DeviceError` where it is not
    installed.
    """
    command = _command()
    source = flatbuffer.read(model)
    floats = source.float_operators
    if floats and len(floats) == len(list(nodes(source))):
        message = f"the model computes in float, and the Edge TPU only in integers: {floats[0]}"
        raise ConversionError("EK-CONVERT-101", message, "convert to int8: --precision int8")
    log = folder / LOG
    # The vendor's program ships its libraries beside itself, or beside the target of its link.
    programs = (Path(command).absolute().parent, Path(command).resolve().parent)
    sandbox = Sandbox((model.absolute(),), (folder.absolute(),), programs)
    options = ["--out_dir", str(folder.absolute()), "--show_operations"]
    words = [command, *options, str(model.absolute())]
    failure = run_compiler(words, sandbox, folder, log, seconds)
    compiled = folder / f"{model.stem}_edgetpu.tflite"
    if not failure and not compiled.is_file():
        failure = "it wrote no compiled file"
    if failure:
        raise _failed(model, failure, log)
    return estimate(model, compiled, log.read_text(errors="replace"), _version(command))


@dataclass(frozen=True)
class Mapped:
    """What the compiler prints: operations in all and on the CPU with the reason, memory in bytes.

    ``cached`` are weights in the Edge TPU's own memory, ``streamed`` those that do not fit there
    and come from the host at every inference; None where the line is missing.
    """

    operations: int
    on_cpu: tuple[str, ...]
    left: int
    cached: float | None
    streamed: float | None


def parse(log: str) -> Mapped:
    """Read the compiler's output. Raises :class:`ValueError` where it does not count operations."""
    total = re.search(r"Total number of operations: (\d+)", log)
    if total is None:
        raise ValueError("the compiler's output does not say how many operations there are")
    left = re.search(r"Number of operations that will run on CPU: (\d+)", log)
    rows = re.findall(r"^([A-Z0-9_]+) +(\d+) +(\S.*?) *$", log, re.MULTILINE)
    return Mapped(
        operations=int(total[1]),
        on_cpu=tuple(f"{count} {name} ({why})" for name, count, why in rows if why != ON_TPU),
        left=int(left[1]) if left else 0,
        cached=_bytes(log, "On-chip memory used for caching model parameters"),
        streamed=_bytes(log, "Off-chip memory used for streaming uncached model parameters"),
    )


def estimate(model: Path, compiled: Path, log: str, compiler: str) -> NpuEstimate:
    """Return the facts of a compiled file and of the compiler's output.

    ``sram`` is the Edge TPU's memory that caches weights, ``dram`` the weights that are streamed.
    Raises :class:`ConversionError` where nothing was mapped.
    """
    source, file = flatbuffer.read(model), flatbuffer.read(compiled)
    try:
        mapped = parse(log)
    except ValueError as error:
        message = f"{COMMAND} compiled {model.name}, but its output cannot be read"
        raise ConversionError("EK-CONVERT-106", message, str(error)) from error
    if all(node.operator != EDGE_TPU for _, node in nodes(file)):
        message = "nothing of the model can run on the Edge TPU: every operator stays on the CPU"
        raise ConversionError("EK-CONVERT-101", message, "\n".join(mapped.on_cpu))
    work = macs(source)

    def figure(value: float | None, unit: str) -> Measurement:
        if value is None:
            return Measurement.unavailable(unit, "the compiler's output does not say")
        return Measurement(value, unit, "estimated", tool=compiler)

    absent = Measurement.unavailable
    return NpuEstimate(
        compiler=compiler,
        accelerator=ACCELERATOR,
        cycles=absent("cycle", NOT_ESTIMATED),
        latency=absent("ns", NOT_ESTIMATED),
        sram=figure(mapped.cached, "byte"),
        dram=figure(mapped.streamed, "byte"),
        flash=absent("byte", "the Edge TPU has none: the host holds the file"),
        operators_on_npu=figure(1 - mapped.left / max(mapped.operations, 1), "share"),
        macs_on_npu=figure(1 - min(macs(file), work) / work if work else 1.0, "share"),
        on_cpu=mapped.on_cpu,
        path=compiled,
        sha256=sha256(compiled),
        bytes=compiled.stat().st_size,
    )


def _command() -> str:
    path = shutil.which(COMMAND)
    if path is None:
        message = f"the vendor's compiler {COMMAND} is not installed"
        hint = "x86-64 Linux only: the package edgetpu-compiler of Google's Coral Debian repository"
        raise DeviceError("EK-DEVICE-011", message, hint)
    return path


def _version(command: str) -> str:
    try:
        done = subprocess.run(
            [command, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError("EK-DEVICE-011", f"{command} does not start", str(error)) from error
    return (done.stdout.strip() or done.stderr.strip() or COMMAND).splitlines()[0]


def _bytes(log: str, label: str) -> float | None:
    match = re.search(rf"{re.escape(label)}: ([\d.]+)((?:[KMG]i)?B)", log)
    return float(match[1]) * UNITS[match[2]] if match else None


def _failed(model: Path, reason: str, log: Path) -> ConversionError:
    message = f"{COMMAND} cannot compile {model.name}: {reason}"
    return ConversionError("EK-CONVERT-106", message, tail(log))
