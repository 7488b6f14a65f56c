"""Run two files on their devices, and read what their tensors held, a few items at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.errors import DeviceError, ModelError
from edgekit.evaluation.layers.sums import Floats
from edgekit.targets.runners import RUNNERS
from edgekit.types import Preprocess, Request, RunnerModel, RunnerResult

# Bytes of traces that lie on the disk at one time, of both files together.
ROOM = 256 * 1024 * 1024
# Runtimes of ``trace_mode.py``.
TRACED = frozenset({"litert", "tflite-runtime", "reference"})


class TracingDevice(Protocol):
    """What is needed of a device (:class:`edgekit.targets.devices.Device`)."""

    @property
    def name(self) -> str: ...

    @property
    def runtime(self) -> str: ...

    def run(self, request: Request) -> RunnerResult: ...


@dataclass(frozen=True)
class LayerSide:
    """A ``.tflite`` file, and the device that runs it; ``delegate`` and ``states`` as runners take
    them.
    """

    path: Path
    device: TracingDevice
    delegate: str = ""
    states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Feeds:
    """Raw inputs by name, the file that says which items to take of them, and the preprocessing."""

    inputs: Mapping[str, Path]
    index: Path
    preprocess: Preprocess


@dataclass
class Traced:
    """What is known of one side's runs: tensors without values by index, and its answers."""

    file: TFLiteFile
    missing: dict[int, str] = field(default_factory=dict)
    alike: bool = True
    difference: float = 0.0


def opened(side: LayerSide) -> Traced:
    """Read a file that is to be traced.

    Raises :class:`DeviceError` where its device gives no tensors from inside a model, and
    :class:`ModelError` where it is not a ``.tflite`` file.
    """
    if side.device.runtime not in TRACED:
        message = f"{side.device.name} does not give the tensors inside a model"
        known = ", ".join(f"local:{name}" for name in RUNNERS if name in TRACED)
        raise DeviceError("EK-LAYERS-001", message, f"compare layers on one of: {known}")
    return Traced(flatbuffer.read(side.path))


def traced(
    sides: tuple[LayerSide, LayerSide],
    traces: tuple[Traced, Traced],
    tensors: tuple[list[int], list[int]],
    feeds: Feeds,
    items: int,
    folder: Path,
) -> Iterator[tuple[int, tuple[Mapping[int, Floats], Mapping[int, Floats]]]]:
    """Yield tensors ``[items, *shape]`` of both sides by index, some items at a time.

    With each share comes the number of its first item. Its files in ``folder`` are gone when the
    next one is asked for.
    """
    each = sum(
        4 * int(np.prod(trace.file.graphs[0].tensors[index].shape, dtype=np.int64))
        for trace, indices in zip(traces, tensors, strict=True)
        for index in indices
    )
    share = max(1, ROOM // max(each, 1))
    for start in range(0, items, share):
        span = start, min(start + share, items)
        places = folder / "left", folder / "right"
        try:
            yield (
                start,
                (
                    _run(sides[0], traces[0], tensors[0], feeds, span, places[0]),
                    _run(sides[1], traces[1], tensors[1], feeds, span, places[1]),
                ),
            )
        finally:
            for place in places:
                shutil.rmtree(place, ignore_errors=True)


def _run(
    side: LayerSide,
    trace: Traced,
    tensors: list[int],
    feeds: Feeds,
    span: tuple[int, int],
    folder: Path,
) -> Mapping[int, Floats]:
    names = _named(trace.file, feeds.inputs)
    entry = RunnerModel(side.path.name, side.path, folder, tuple(tensors))
    request = Request(
        "trace",
        (entry,),
        names,
        feeds.preprocess,
        index=feeds.index,
        items=span,
        delegate=side.delegate,
        states=side.states or None,
    )
    facts = side.device.run(request)["models"][entry.id]
    trace.missing.update({int(index): reason for index, reason in facts["missing"].items()})
    trace.alike = trace.alike and facts["alike"]
    trace.difference = max(trace.difference, facts["difference"])
    return {
        index: np.load(folder / f"{index}.npy", mmap_mode="r")
        for index in facts["written"]
        if index not in trace.missing
    }


def _named(file: TFLiteFile, inputs: Mapping[str, Path]) -> Mapping[str, Path]:
    """Return the inputs by the names that a file's runner gives them."""
    own = {tensor.name for tensor in file.inputs}
    keys = sorted((s.key != "serving_default", s.key) for s in file.signatures)
    if keys:
        signature = next(s for s in file.signatures if s.key == keys[0][1])
        if signature.graph != 0:
            message = f"signature {signature.key!r} is not of the main graph"
            raise ModelError("EK-LAYERS-002", message, "only the main graph's layers are compared")
        own = set(signature.inputs)
    if len(own) == len(inputs) == 1:
        return {own.pop(): next(iter(inputs.values()))}
    return inputs
