"""A quantized ``.tflite`` file compiled for Google's Edge TPU, by the vendor's compiler.

Source: "Edge TPU Compiler" of the Coral documentation.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.micro.operations import macs, nodes, place
from edgekit.errors import ConversionError, DeviceError
from edgekit.process import describe_exit, end_group, tail
from edgekit.store import sha256
from edgekit.types import Measurement, NpuEstimate

COMMAND = "edgetpu_compiler"
ACCELERATOR = "edge-tpu"
EDGE_TPU = "edgetpu-custom-op"
SECONDS = 600.0
LOG = "edge_tpu.log"
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
NOT_ESTIMATED = "the Edge TPU compiler estimates no cycles and no latency"


def version() -> str:
    """The compiler's version line. Raises :class:`DeviceError` where it is not installed."""
    return _version(_command())


def compile_model(model: Path, folder: Path, seconds: float = SECONDS) -> NpuEstimate:
    """Compile a file into ``folder``, and read what the compiler says of it.

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
    with log.open("wb") as output:
        process = subprocess.Popen(
            [command, "--out_dir", str(folder), "--show_operations", str(model)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise _failed(model, f"it took longer than {seconds:g} s", log) from None
        finally:
            end_group(process)
    compiled = folder / f"{model.stem}_edgetpu.tflite"
    if process.returncode != 0:
        raise _failed(model, f"it {describe_exit(process.returncode)[0]}", log)
    if not compiled.is_file():
        raise _failed(model, "it wrote no compiled file", log)
    return estimate(model, compiled, log.read_text(errors="replace"), _version(command))


def estimate(model: Path, compiled: Path, log: str, compiler: str) -> NpuEstimate:
    """What a compiled file and the compiler's output say of it.

    ``sram`` is the Edge TPU's own memory that caches weights, ``dram`` the weights that do not fit
    and are streamed from the host. Raises :class:`ConversionError` where nothing was mapped.
    """
    source, file = flatbuffer.read(model), flatbuffer.read(compiled)
    on_cpu = tuple(place(graph, node) for graph, node in nodes(file) if node.operator != EDGE_TPU)
    if len(on_cpu) == len(list(nodes(file))):
        message = "nothing of the model can run on the Edge TPU: every operator stays on the CPU"
        raise ConversionError("EK-CONVERT-101", message, "convert to int8: --precision int8")
    all_of_it, work = len(list(nodes(source))), macs(source)

    def figure(value: float, unit: str) -> Measurement:
        return Measurement(value, unit, "estimated", tool=compiler)

    absent = Measurement.unavailable
    return NpuEstimate(
        compiler=compiler,
        accelerator=ACCELERATOR,
        cycles=absent("cycle", NOT_ESTIMATED),
        latency=absent("ns", NOT_ESTIMATED),
        sram=_bytes(log, "On-chip memory used for caching model parameters", compiler),
        dram=_bytes(log, "Off-chip memory used for streaming uncached model parameters", compiler),
        flash=absent("byte", "the Edge TPU has none: the host holds the file"),
        operators_on_npu=figure(1 - min(len(on_cpu), all_of_it) / all_of_it, "share"),
        macs_on_npu=figure(1 - min(macs(file), work) / work if work else 1.0, "share"),
        on_cpu=on_cpu,
        path=compiled,
        sha256=sha256(compiled),
        bytes=compiled.stat().st_size,
    )


def _command() -> str:
    found = shutil.which(COMMAND)
    if found is None:
        message = f"the vendor's compiler {COMMAND} is not installed"
        hint = "x86-64 Linux only: the package edgetpu-compiler of Google's Coral Debian repository"
        raise DeviceError("EK-DEVICE-011", message, hint)
    return found


def _version(command: str) -> str:
    done = subprocess.run(
        [command, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    return (done.stdout.strip() or done.stderr.strip() or COMMAND).splitlines()[0]


def _bytes(log: str, what: str, compiler: str) -> Measurement:
    found = re.search(rf"{re.escape(what)}: ([\d.]+)\s*([KMG]i)?B", log)
    if found is None:
        return Measurement.unavailable("byte", f"the compiler's output has no line {what!r}")
    value = float(found[1]) * UNITS[f"{found[2] or ''}B"]
    return Measurement(value, "byte", "estimated", tool=compiler)


def _failed(model: Path, reason: str, log: Path) -> ConversionError:
    message = f"{COMMAND} cannot compile {model.name}: {reason}"
    return ConversionError("EK-CONVERT-106", message, tail(log))
