"""The tensor arena that TFLM needs: measured on this host, and estimated for a 32-bit target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.targets.devices.device import Device
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Json, Measurement, ModelResult, Preprocess, Request, RunnerModel

RUNTIME = "tflm"
TOOL = "bisection by 16 bytes, each size tried in a fresh interpreter"
RECORDER = "RecordingMicroAllocator"
UNSEEN = "TFLM recorded nothing of its own structures"
# Bytes that one of TFLM's structures is smaller by where pointers have 32 bits, not 64. Sources:
# ``sizeof`` of TfLiteEvalTensor (24, 12), TfLiteTensor (64, 40) and NodeAndRegistration (64, 32),
# and of TfLiteAffineQuantization (24, 12), one of two allocations a tensor, in the headers of
# tensorflow/tflite-micro. Twelve networks on a 32-bit build of it needed 112 to 256 bytes less than
# this estimates.
SMALLER = {
    "TfLiteEvalTensor data": 12.0,
    "Persistent TfLiteTensor data": 24.0,
    "NodeAndRegistration struct": 32.0,
    "Persistent TfLiteTensor quantization data": 6.0,
}
# What allocates: with a recorder (RecordingSingleArenaBufferAllocator 104, RecordingMicroAllocator
# 272, GreedyMemoryPlanner 72) on the host, without (36, 36, 44) on the device.
ALLOCATORS = 104 + 272 + 72 - (36 + 36 + 44)
ESTIMATE = "what the host measured, less half of the pointers in TFLM's own structures"


@dataclass(frozen=True)
class Arena:
    """The arena of a model on this host, in bytes.

    ``smallest`` allocates, invokes and answers as a large one does; ``recorded`` is what TFLM's own
    recorder says, and ``margin`` how much more than that is needed, as a share of it.
    ``estimated_32bit`` is for a target with pointers of 32 bits and the same kernels.
    """

    smallest: Measurement
    recorded: Measurement
    margin: Measurement
    estimated_32bit: Measurement

    @classmethod
    def unavailable(cls, reason: str) -> Arena:
        """Return an arena of which nothing is known."""
        nothing = Measurement.unavailable("byte", reason)
        return cls(nothing, nothing, Measurement.unavailable("1", reason), nothing)


def arena(
    device: LocalDevice | Device,
    path: Path,
    inputs: Mapping[str, Path],
    index: Path | None = None,
    preprocess: Preprocess | None = None,
    signature: str | None = None,
    states: Mapping[str, str] | None = None,
) -> Arena:
    """Return the smallest arena of a ``.tflite`` file, on the first of the items.

    ``inputs`` are raw ``.npy`` files by input name, items first; ``index`` a ``.npy`` of the items
    to take, ``signature`` which one of the file's several runs, ``states`` the outputs that inputs
    are fed with, by input. Raises :class:`DeviceError` where TFLM is not installed, and
    :class:`RunnerError` where it does not run the file.
    """
    request = Request(
        "arena",
        (RunnerModel("model", path),),
        inputs,
        preprocess or Preprocess(),
        RUNTIME,
        index,
        signature=signature,
        states=states or None,
    )
    result = device.run(request)
    return read(result["models"]["model"], str(result["version"]))


def read(result: ModelResult, version: str) -> Arena:
    """Return the runner's result as measurements; ``version`` is that of the runtime."""
    tool, n = f"{RUNTIME} {version}, {TOOL}", int(result["items"])
    return Arena(
        smallest=Measurement(float(result["arena_bytes"]), "byte", n=n, tool=tool),
        recorded=Measurement(float(result["recorded_bytes"]), "byte", n=n, tool=RECORDER),
        margin=Measurement(float(result["margin"]), "1", n=n, tool=tool),
        estimated_32bit=_on_32_bits(float(result["arena_bytes"]), result["recorded"]["parts"]),
    )


def _on_32_bits(smallest: float, parts: Mapping[str, Json]) -> Measurement:
    """Return the arena less what pointers of half the size save in the structures that were
    recorded.

    From above: kernels' own pointers and temporary structures, which shrink too, are not counted.
    """
    if not any(name in parts for name in SMALLER):
        return Measurement.unavailable("byte", UNSEEN)
    saved = sum(less * int(parts[name]["count"]) for name, less in SMALLER.items() if name in parts)
    left = (smallest - saved - ALLOCATORS) // 16 * 16
    return Measurement(left, "byte", "estimated", tool=ESTIMATE)


def ticks() -> Measurement:
    """Return the time by operator on TFLM: unavailable through its Python package.

    Source: ``python/tflite_micro/interpreter_wrapper.cc`` of tensorflow/tflite-micro makes its
    interpreter without a ``MicroProfiler``, and gives no way to set one.
    """
    reason = "the tflite-micro package makes its interpreter without a profiler"
    return Measurement.unavailable("tick", reason)
