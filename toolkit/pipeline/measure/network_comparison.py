"""What two models' files tell beside their answers: one network or two, and where they part."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.converters import flatbuffer, tflite
from edgekit.errors import EdgekitError
from edgekit.evaluation.layers import (
    LayerParity,
    LayerSide,
    Likeness,
    layer_parity,
    same_network,
)
from edgekit.evaluation.parity import Steps, steps
from edgekit.pipeline.float_file import main_file
from edgekit.pipeline.items import Items
from edgekit.pipeline.measure.loaded_model import DEFAULT_DEVICE
from edgekit.pipeline.measure.measure_options import MeasureOptions
from edgekit.pipeline.measure.model_on_device import Answered, pairs, problem
from edgekit.pipeline.quantize import float_file
from edgekit.pipeline.run import Run
from edgekit.targets.devices import Device
from edgekit.types import Advice, Contrast

# Conversion keeps float32 weights and only orders sums anew: some 100 dB. Kernels that calculate in
# half precision (eleven bits) leave some 66 dB, before what depth adds. 40 dB is 1 % of amplitude.
EXPLAINED = 40.0
UNEXPLAINED = f"less than the {EXPLAINED:.0f} dB that conversion of float32 keeps at least"


def likeness(
    run: Run,
    first: Answered,
    other: Answered,
    items: Items,
    options: MeasureOptions,
    contrast: Contrast,
) -> Likeness | None:
    """Tell whether two models are one network, by their files; None where it is one file.

    What TensorFlow runs is made a file for it only where layers are asked for, or where two float
    models share less than conversion explains. The user is told of both.
    """
    if first.subject.model.digest == other.subject.model.digest:
        return None
    apart = _apart(first, other, contrast)
    networks, reason = _likeness(run, (first, other), items, options.layers or apart is not None)
    _tell(run, f"{first.id} and {other.id}", networks, apart, reason)
    return networks


def _likeness(
    run: Run, both: tuple[Answered, Answered], items: Items, converting: bool
) -> tuple[Likeness | None, str]:
    """Compare the constants of two files, or say why they could not be read."""
    try:
        paths = [_path(run, one, items, converting) for one in both]
    except EdgekitError as error:
        return None, problem(error)
    if None in paths:
        return None, ""
    left, right = (flatbuffer.read(path) for path in paths if path is not None)
    return same_network(left, right), ""


def _apart(first: Answered, other: Answered, contrast: Contrast) -> float | None:
    """Return the SQNR in dB of two float models' outputs, where it is lower than conversion
    explains.
    """
    if not (_is_float(first) and _is_float(other)):
        return None
    shared = [
        contrast.parity[name]["sqnr"].value
        for name, both in pairs(first, other).items()
        if name in contrast.parity and all(one.dtype.kind == "f" for one in both)
    ]
    lowest = min((value for value in shared if value is not None), default=EXPLAINED)
    return lowest if lowest < EXPLAINED else None


def _is_float(model: Answered) -> bool:
    """Tell whether a model calculates with float32 weights: nothing in its file is quantized."""
    if not model.subject.model.is_tflite:
        return True
    tensors = [t for one in flatbuffer.read(model.subject.model.path).graphs for t in one.tensors]
    return not any(tensor.scale > 0 or tensor.dtype == "FLOAT16" for tensor in tensors)


def _tell(run: Run, both: str, networks: Likeness | None, apart: float | None, reason: str) -> None:
    """Warn about two different networks, and outputs further apart than conversion explains."""
    share = f"their outputs share {apart:.1f} dB" if apart is not None else ""
    verdict = networks.verdict if networks is not None else ""
    fix = "compare files of one model"
    if networks is not None and verdict in ("different weights", "different structure"):
        why = f"{share}; {networks.reason}" if share else networks.reason
        message = f"{both} are two different networks ({why}): parity between them means nothing"
    elif not share:
        return
    elif verdict == "same weights":
        message = f"{both} hold the same weights, but {share}, {UNEXPLAINED}"
        fix = "look at how each is fed, and at operators: `--layers` says where they part"
    else:
        why = (
            networks.reason if networks is not None else f"only the outputs were compared: {reason}"
        )
        message = f"{both} may be two different networks: {share}, {UNEXPLAINED} ({why})"
    run.advise(Advice("EK-NOTE-024", "warning", message, fix))


def layers(
    run: Run, first: Answered, other: Answered, items: Items, options: MeasureOptions
) -> LayerParity | None:
    """Compare two models layer by layer, where it was asked for; tell the user where it cannot
    be.
    """
    if not options.layers:
        return None
    folder = run.folder / "traces"
    try:
        sides = [_side(run, one, items, options) for one in (first, other)]
        parities = layer_parity(
            sides[0],
            sides[1],
            other.items.inputs,
            items.index_path,
            items.preprocess,
            folder=folder,
        )
        return replace(parities, left=first.id, right=other.id)
    except EdgekitError as error:
        run.note(False)
        message = f"layers of {other.id} are unavailable, because {problem(error)}"
        run.advise(Advice("EK-NOTE-025", "warning", message))
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def output_steps(first: Answered, other: Answered) -> Mapping[str, Steps]:
    """Count how many quantization steps the outputs lie apart, where either file quantizes them."""
    scales = _scales(other) or _scales(first)
    return {
        name: steps(mine, theirs, scales[name])
        for name, (mine, theirs) in pairs(first, other).items()
        if scales.get(name, 0.0) > 0
    }


def _side(run: Run, model: Answered, items: Items, options: MeasureOptions) -> LayerSide:
    device: Device = model.subject.device
    if device.runtime == "tensorflow":
        device = run.devices.open(DEFAULT_DEVICE)
    path = _file(run, model, items)
    states = model.subject.model.carried(items.inputs)
    return LayerSide(path, device, options.delegate or "", states)


def _path(run: Run, model: Answered, items: Items, converting: bool) -> Path | None:
    """Return the file itself, or the float32 file of a SavedModel where one may be made."""
    return _file(run, model, items) if converting or model.subject.model.is_tflite else None


def _file(run: Run, answered: Answered, items: Items) -> Path:
    model = answered.subject.model
    if model.is_tflite:
        return main_file(run, model)
    return float_file(run, model, items).path / tflite.FILE


def _scales(model: Answered) -> Mapping[str, float]:
    """Read the quantization steps of a file's outputs, by the names of its answers."""
    if not model.subject.model.is_tflite:
        return {}
    file = flatbuffer.read(model.subject.model.path)
    named = file.outputs_of(model.subject.model.signature)
    return {n: t.scale for n, t in (named or {t.name: t for t in file.outputs}).items()}
