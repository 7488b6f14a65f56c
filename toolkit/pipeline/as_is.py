"""A ``.tflite`` file of any precision, taken as it is: nothing is converted.

It is judged by itself, or by the model that it was made from, whose inputs and outputs are found by
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.converters import flatbuffer, tflite
from edgekit.converters.precisions import FLOAT, precision_in
from edgekit.errors import EdgekitError, ModelError
from edgekit.evaluation.layers import same_network
from edgekit.pipeline.carried import with_states
from edgekit.pipeline.float_file import quantized, tflite_model
from edgekit.pipeline.items import Items
from edgekit.pipeline.make import export, obtain
from edgekit.pipeline.plan import Plan
from edgekit.pipeline.quantize import float_file
from edgekit.pipeline.run import Run
from edgekit.project import ConvertTable
from edgekit.project.compress import CompressTable
from edgekit.types import Advice, SavedModel, TensorSpec

ANOTHER = "EK-MODEL-043"


def reference_of(run: Run, source_model: SavedModel) -> SavedModel:
    """Choose what candidates are compared with: their source, or the model that the project names.

    Raises :class:`ModelError` where that takes or gives something else than the file.
    """
    table, options = run.project.convert, run.plan.options
    if table.judged_by_itself and options.evaluate:
        message = (
            f"{Path(run.project.model.source).name} is taken as it is and judged by itself: its"
            " accuracy is its own, what it lost when it was made is not known, and a limit on the"
            " drop says nothing"
        )
        fix = "--reference MODEL judges it by the model that it was made from"
        run.advise(Advice("EK-NOTE-046", "info", message, fix))
    if table.reference is None or not options.evaluate:
        return source_model
    source = table.reference
    with run.stage("reference"):
        reference = _opened(run, source)
    inputs = _paired(source_model.inputs, reference.inputs, "inputs", source)
    outputs = _paired(source_model.outputs, reference.outputs, "outputs", source)
    return replace(
        reference,
        inputs=tuple(replace(inputs[spec.name], name=spec.name) for spec in source_model.inputs),
        outputs=tuple(replace(outputs[spec.name], name=spec.name) for spec in source_model.outputs),
        own_inputs={name: spec.name for name, spec in inputs.items()},
        own_outputs={name: spec.name for name, spec in outputs.items()},
    )


def doubt_reference(run: Run, source: SavedModel, reference: SavedModel, items: Items) -> None:
    """Warn where a file and its reference have other weights."""
    if reference is source:
        return
    path = reference.path
    try:
        if not reference.is_tflite:
            path = float_file(run, reference.in_float32, items).path / tflite.FILE
        networks = same_network(flatbuffer.read(source.path), flatbuffer.read(path))
    except EdgekitError:
        # What cannot be read as constants is judged by its answers alone.
        run.note(False)
        return
    if networks.verdict in ("different weights", "different structure"):
        both = f"{Path(run.project.model.source).name} and {run.project.convert.reference}"
        message = (
            f"{both} are two different networks ({networks.reason}): the drop between them is not"
            " what quantization cost"
        )
        fix = "name the model that the file was made from: --reference MODEL"
        run.advise(Advice("EK-NOTE-024", "warning", message, fix))


def _opened(run: Run, source: str) -> SavedModel:
    """Open another model than the run's, as the reference that it would be itself."""
    table = run.project.model.model_copy(update={"source": source, "signature": None})
    alone = {
        "model": table,
        "convert": ConvertTable(precisions=(FLOAT,)),
        "compress": CompressTable(),
        "targets": {},
    }
    about = run.about(Plan.of(run.project.model_copy(update=alone), run.plan.options))
    model = about.plan.model
    if model is None or model.kind != "tflite":
        return export(about, obtain(about))
    file = flatbuffer.read(model.path)
    named = f"{precision_in(file)} .tflite" if quantized(file) else ""
    return replace(with_states(about, tflite_model(about, model.path)), named=named)


def _paired(
    ours: tuple[TensorSpec, ...], theirs: tuple[TensorSpec, ...], ends: str, source: str
) -> Mapping[str, TensorSpec]:
    """Match the reference's inputs or outputs with the file's, by name or as the only ones."""
    named = {spec.name: spec for spec in theirs}
    if len(ours) == len(theirs) == 1:
        named = {ours[0].name: theirs[0]}
    listed = [", ".join(f"{s.name!r} {_shown(s)}" for s in specs) for specs in (ours, theirs)]
    if {spec.name for spec in ours} != set(named):
        message = f"the {ends} of {source} are not called as the file's are"
        hint = f"the file has {listed[0]}; the reference {listed[1]}: they are matched by name"
        raise ModelError(ANOTHER, message, hint)
    if not all(_alike(spec, named[spec.name]) for spec in ours):
        message = f"{source} is another network: its {ends} are not the file's"
        hint = f"the file has {listed[0]}; the reference {listed[1]}"
        raise ModelError(ANOTHER, message, hint)
    return named


def _shown(spec: TensorSpec) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in spec.shape)}]"


def _alike(spec: TensorSpec, other: TensorSpec) -> bool:
    """Tell whether two tensors have as many elements per item, as far as that is known."""
    shapes = spec.shape[1:], other.shape[1:]
    if any(None in shape for shape in shapes):
        return len(shapes[0]) == len(shapes[1]) and all(
            left is None or right is None or left == right
            for left, right in zip(*shapes, strict=True)
        )
    left, right = ([int(size or 1) for size in shape] for shape in shapes)
    return int(np.prod(left)) == int(np.prod(right))
