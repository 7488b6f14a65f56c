"""What two models' files tell beside their answers: one network or two, and where they part."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.converters import flatbuffer, tflite
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.errors import EdgekitError
from edgekit.evaluation.layers import (
    LayerParity,
    LayerSide,
    Likeness,
    layer_parity,
    same_network,
)
from edgekit.evaluation.parity import Steps, steps
from edgekit.pipeline.measure.asked import Asked
from edgekit.pipeline.measure.given import Given, pairs, problem
from edgekit.pipeline.measure.subject import DEFAULT_DEVICE
from edgekit.pipeline.quantize import float_file
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items
from edgekit.targets.devices import Device
from edgekit.types import Advice


def likeness(run: Run, first: Given, other: Given, items: Items, asked: Asked) -> Likeness | None:
    """Whether two files are one network; of what TensorFlow runs only where layers are asked for.

    Nothing where it is one file. The user is told where they are not one network.
    """
    assert first.subject and other.subject  # noqa: S101, PT018  (both have answered)
    if first.subject.model.digest == other.subject.model.digest:
        return None
    both = [_path(run, one, items, asked) for one in (first, other)]
    if None in both:
        return None
    left, right = (flatbuffer.read(path) for path in both if path is not None)
    found = same_network(left, right)
    if found.verdict in ("different weights", "different structure"):
        message = (
            f"{first.measured.id} and {other.measured.id} are two different networks"
            f" ({found.reason}): parity between them means nothing"
        )
        run.advise(Advice("EK-NOTE-024", "warning", message, "compare files of one model"))
    return found


def layers(run: Run, first: Given, other: Given, items: Items, asked: Asked) -> LayerParity | None:
    """Layer by layer, where it was asked for; the user is told why where it cannot be."""
    if not asked.layers:
        return None
    assert other.items is not None  # noqa: S101  (it has answered)
    folder = run.folder / "traces"
    try:
        sides = [_side(run, one, items, asked) for one in (first, other)]
        found = layer_parity(
            sides[0], sides[1], other.items.inputs, items.index_path, items.preprocess,
            folder=folder,
        )  # fmt: skip
        return replace(found, left=first.measured.id, right=other.measured.id)
    except EdgekitError as error:
        run.note(False)
        message = f"layers of {other.measured.id} are unavailable, because {problem(error)}"
        run.advise(Advice("EK-NOTE-025", "warning", message))
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def output_steps(first: Given, other: Given) -> Mapping[str, Steps]:
    """How many steps the outputs lie apart that are quantized in either file."""
    scales = _scales(other) or _scales(first)
    return {
        name: steps(mine, theirs, scales[name])
        for name, (mine, theirs) in pairs(first, other).items()
        if scales.get(name, 0.0) > 0
    }


def _side(run: Run, given: Given, items: Items, asked: Asked) -> LayerSide:
    assert given.subject is not None  # noqa: S101  (it has answered)
    device: Device = given.subject.device
    if device.runtime == "tensorflow":
        device = run.devices.open(DEFAULT_DEVICE)
    path = _path(run, given, items, asked)
    assert path is not None  # noqa: S101  (layers are asked for)
    return LayerSide(path, device, asked.delegate or "")


def _path(run: Run, given: Given, items: Items, asked: Asked) -> Path | None:
    """The file itself, or the float32 file of a SavedModel where layers are asked for."""
    assert given.subject is not None  # noqa: S101  (it has answered)
    model = given.subject.model
    if model.is_tflite:
        return model.path
    if not asked.layers:
        return None
    return float_file(run, model, items).path / tflite.FILE


def _scales(given: Given) -> Mapping[str, float]:
    """Quantization steps of a file's outputs, by the names that its answers have."""
    assert given.subject is not None  # noqa: S101  (it has answered)
    if not given.subject.model.is_tflite:
        return {}
    file: TFLiteFile = flatbuffer.read(given.subject.model.path)
    main = file.graphs[0]
    if file.signatures:
        return {name: main.tensors[i].scale for name, i in file.signatures[0].outputs.items()}
    return {main.tensors[i].name: main.tensors[i].scale for i in main.outputs}
