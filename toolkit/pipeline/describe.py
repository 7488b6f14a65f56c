"""The describing stage: TFLite Metadata in a candidate, before anything judges its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from edgekit.converters.metadata import ModelFacts, TensorFacts, add_metadata, normalisation
from edgekit.converters.metadata.facts import ColourSpace
from edgekit.errors import ConversionError
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items
from edgekit.store import sha256
from edgekit.types import Json, SavedModel, TensorSpec

COLOUR_SPACES: Mapping[int, ColourSpace] = {1: "GRAYSCALE", 3: "RGB"}


def described(run: Run, path: Path, model: SavedModel, items: Items) -> Path:
    """The file with what the project knows of the model, where ``[convert] metadata`` asks for it.

    Raises :class:`ConversionError` where the project's facts do not fit the model.
    """
    if not run.project.convert.metadata:
        return path
    facts = _facts(run, model, items)
    key = run.key("ai-edge-litert", model=sha256(path), facts=asdict(facts))

    def make(folder: Path) -> Mapping[str, Json]:
        (folder / path.name).write_bytes(add_metadata(path.read_bytes(), facts))
        return {}

    return run.keep(run.store.obtain("metadata", key, make)).path / path.name


def _facts(run: Run, model: SavedModel, items: Items) -> ModelFacts:
    table, plan = run.project.model, run.plan
    digest = plan.model.digest[:8] if plan.model else ""
    return ModelFacts(
        name=plan.name,
        description=table.description or "",
        version=table.version or digest,
        author=table.author or "",
        license=table.license or "",
        inputs=tuple(_input(spec, items) for spec in model.inputs),
        outputs=tuple(_output(spec, model, items) for spec in model.outputs),
    )


def _input(spec: TensorSpec, items: Items) -> TensorFacts:
    """An input: how raw values become its own; an image where its shape is one's."""
    if not spec.dtype.startswith("float"):
        return TensorFacts(spec.name)
    try:
        mean, std = normalisation(items.preprocess)
    except ValueError as error:
        message = "the preprocessing cannot be written as a mean and a standard deviation"
        raise ConversionError("EK-CONVERT-107", message, str(error)) from error
    facts = TensorFacts(spec.name, mean=mean, std=std)
    if len(spec.shape) != 4 or None in spec.shape[1:] or spec.shape[3] not in COLOUR_SPACES:
        return facts
    _, height, width, channels = spec.shape
    return TensorFacts(
        spec.name, mean=mean, std=std, colour_space=COLOUR_SPACES[channels or 0],
        width=width or 0, height=height or 0,
    )  # fmt: skip


def _output(spec: TensorSpec, model: SavedModel, items: Items) -> TensorFacts:
    """An output: with the class names, where the metric is taken on it and they are as many."""
    judged = items.output or model.outputs[0].name
    fits = spec.shape and spec.shape[-1] == len(items.class_names)
    labels = items.class_names if spec.name == judged and fits else ()
    return TensorFacts(spec.name, labels=labels)
