"""The describing stage: TFLite Metadata in a candidate, before anything judges its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.metadata import ModelFacts, TensorFacts, add_metadata, normalisation
from edgekit.converters.metadata.facts import ColourSpace
from edgekit.errors import ConversionError
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.store import sha256
from edgekit.types import Advice, Json, SavedModel, TensorSpec
from edgekit.usercode import is_reference

COLOUR_SPACES: Mapping[int, ColourSpace] = {1: "GRAYSCALE", 3: "RGB"}


def with_metadata(run: Run, path: Path, model: SavedModel, items: Items) -> Path:
    """Write what the project knows of the model into the file, where ``[convert] metadata`` asks.

    Raises :class:`ConversionError` where the project's facts do not fit the model.
    """
    if not run.project.convert.metadata:
        return path
    facts = _facts(run, model, items)
    _tell(run, path)
    key = run.key("ai-edge-litert", model=sha256(path), facts=asdict(facts))

    def make(folder: Path) -> Mapping[str, Json]:
        (folder / path.name).write_bytes(add_metadata(path.read_bytes(), facts))
        return {}

    return run.obtain("metadata", key, make).path / path.name


def _tell(run: Run, path: Path) -> None:
    """Note what readers such as MediaPipe's and the Task Library's cannot use of the metadata.

    Both take a quantized input and output as uint8, or floats, and refuse int8.
    """
    file = flatbuffer.read(path)
    if any(tensor.dtype == "INT8" for tensor in (*file.inputs, *file.outputs)):
        message = (
            "the Task Library and MediaPipe refuse int8 inputs and outputs, with metadata or"
            " without: they read uint8 and float"
        )
        fix = "for them convert with --precision uint8-io, or int8-float-io"
        if run.project.convert.as_is:
            fix = f"{fix}, the float model that this was made from"
        run.advise(Advice("EK-NOTE-042", "warning", message, fix))
    if function := _function(run):
        message = (
            f"the metadata states no mean and std: {function} gives items that it may have"
            " normalised itself, and what it did is not known"
        )
        fix = (
            "let it give raw values, and say how they become the model's: [data.preprocess] scale"
            " and offset, or mean and std"
        )
        run.advise(Advice("EK-NOTE-043", "warning", message, fix))


def _function(run: Run) -> str:
    """Return the user's function that gives items, where nothing else says how they are
    normalised.
    """
    data = run.project.data
    if not data.preprocess.spec().identity:
        return ""
    other = data.representative.from_ if data.representative else None
    return next((s for s in (data.evaluate, other, data.train) if s and is_reference(s)), "")


def _facts(run: Run, model: SavedModel, items: Items) -> ModelFacts:
    table, plan = run.project.model, run.plan
    digest = plan.model.digest[:8] if plan.model else ""
    return ModelFacts(
        name=plan.name,
        description=table.description or "",
        version=table.version or digest,
        author=table.author or "",
        license=table.license or "",
        inputs=tuple(_input(spec, items, not _function(run)) for spec in model.all_inputs),
        outputs=tuple(_output(spec, model, items) for spec in model.all_outputs),
    )


def _input(spec: TensorSpec, items: Items, known: bool) -> TensorFacts:
    """Describe an input: how raw values are normalised; an image where its shape is one's.

    Where it is not ``known`` how, nothing is said of it.
    """
    if not spec.dtype.startswith("float"):
        return TensorFacts(spec.name)
    try:
        mean, std = normalisation(items.preprocess) if known else ((), ())
    except ValueError as error:
        message = "the preprocessing cannot be written as a mean and a standard deviation"
        raise ConversionError("EK-CONVERT-107", message, str(error)) from error
    facts = TensorFacts(spec.name, mean=mean, std=std)
    if len(spec.shape) != 4 or None in spec.shape[1:] or spec.shape[3] not in COLOUR_SPACES:
        return facts
    _, height, width, channels = spec.shape
    return TensorFacts(
        spec.name,
        mean=mean,
        std=std,
        colour_space=COLOUR_SPACES[channels or 0],
        width=width or 0,
        height=height or 0,
    )


def _output(spec: TensorSpec, model: SavedModel, items: Items) -> TensorFacts:
    """Describe an output: with the class names, where it is the metric's and they are as many."""
    judged = items.output or model.outputs[0].name
    fits = spec.shape and spec.shape[-1] == len(items.class_names)
    labels = items.class_names if spec.name == judged and fits else ()
    return TensorFacts(spec.name, labels=labels)
