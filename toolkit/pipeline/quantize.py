"""How a planned file is made: from the SavedModel, or from the float32 file by a recipe."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.converters import flatbuffer, loops, tflite
from edgekit.converters.quantization import calibration, edge_quantizer, tensorflow_recipe
from edgekit.converters.quantization.recipe import Rule
from edgekit.errors import ConversionError, WorkerError
from edgekit.pipeline.items import Items
from edgekit.pipeline.planned_files import PlannedFile, calibrates, rules_of
from edgekit.pipeline.run import Run
from edgekit.store import Artefact
from edgekit.types import Advice, Conversion, Json, SavedModel

FLOAT, DYNAMIC = "float32", "dynamic"
KEPT_FLOAT = (
    "TensorFlow leaves weights of fewer than 1,024 elements, and fused recurrent layers, in float"
)


def made(run: Run, model: SavedModel, items: Items, planned: PlannedFile) -> Artefact:
    """Make a planned file's ``model.tflite``, or find it in the store.

    Raises :class:`ConversionError` or WorkerError.
    """
    if run.project.convert.as_is:
        return _copied(run, model)
    rules = rules_of(planned.precision, run.project)
    try:
        if not rules:
            artefact = _converted(run, model, items, planned)
            return (
                _small(run, model, items, planned) if _left_float(artefact, planned) else artefact
            )
        return _by_recipe(run, model, items, planned)
    except WorkerError as error:
        if "SIGSEGV" in error.message and calibrates(planned.precision, run.project):
            raise _explained(run, model, items, planned, error) from error
        raise


def _copied(run: Run, model: SavedModel) -> Artefact:
    """Copy the file as it is into the store."""

    def make(folder: Path) -> Mapping[str, Json]:
        shutil.copyfile(model.path, folder / tflite.FILE)
        return {}

    return run.obtain("as-is", run.key(model=model.digest), make)


def _converted(run: Run, model: SavedModel, items: Items, planned: PlannedFile) -> Artefact:
    calibrated = calibrates(planned.precision, run.project)
    conversion = planned.conversion
    key = run.key(
        "tensorflow",
        model=model.digest,
        precision=planned.precision,
        representative=items.representative_digest if calibrated else None,
        **_settings(conversion),
    )
    feeds = items.representative if calibrated else None

    def make(folder: Path) -> Mapping[str, object]:
        arguments = (model.path, planned.precision, feeds, folder, conversion)
        if model.is_tflite:
            return run.worker.call(tflite.convert_float, *arguments)
        names = [[spec.name for spec in specs] for specs in (model.all_inputs, model.all_outputs)]
        return run.worker.call(tflite.convert, *arguments, model.batch, *names)

    return run.obtain("convert", key, make)


def _left_float(made: Artefact, planned: PlannedFile) -> bool:
    """Tell whether TensorFlow quantized nothing: it leaves small weights in float."""
    if planned.precision != DYNAMIC:
        return False
    return "INT8" not in flatbuffer.read(made.path / tflite.FILE).weights


def _small(run: Run, model: SavedModel, items: Items, planned: PlannedFile) -> Artefact:
    """Quantize a model of small weights by ai-edge-quantizer, which takes those, too.

    Raises :class:`ConversionError`, EK-CONVERT-015, where that cannot either.
    """
    base = float_file(run, model, items, planned.conversion)
    conversion = planned.conversion
    per_channel = conversion.granularity == "per-channel"
    key = run.key(
        "tensorflow",
        "ai-edge-quantizer",
        model=base.digest,
        precision=planned.precision,
        dense=conversion.per_channel_dense,
        per_channel=per_channel,
    )

    def make(folder: Path) -> Mapping[str, object]:
        return run.worker.call(
            edge_quantizer.quantize,
            base.path / tflite.FILE,
            (Rule(DYNAMIC),),
            {},
            folder,
            conversion.per_channel_dense,
            per_channel,
        )

    try:
        artefact = run.obtain("quantize", key, make)
    except ConversionError as error:
        hint = (
            f"{KEPT_FLOAT}; and ai-edge-quantizer says: {error.message}."
            " float16 halves the weights of any model; int8 quantizes small ones, too"
        )
        message = "no weight of this model can be dynamic"
        raise ConversionError("EK-CONVERT-015", message, hint) from error
    message = f"{planned.id} is made by ai-edge-quantizer: {KEPT_FLOAT}"
    run.advise(Advice("EK-NOTE-041", "info", message))
    return artefact


def _settings(conversion: Conversion) -> dict[str, Json]:
    """Build the part of a store key for a profile; empty where it changes nothing."""
    if replace(conversion, profile="", refuses={}) == Conversion():
        return {}
    return {
        "per_channel_dense": conversion.per_channel_dense,
        "granularity": conversion.granularity,
        "flex": conversion.flex,
        "custom_operators": list(conversion.custom_operators),
    }


def float_file(
    run: Run, model: SavedModel, items: Items, conversion: Conversion | None = None
) -> Artefact:
    """Make the float32 file that other precisions are made of."""
    return _converted(run, model, items, PlannedFile(FLOAT, "", conversion or Conversion()))


def _by_recipe(run: Run, model: SavedModel, items: Items, planned: PlannedFile) -> Artefact:
    """Quantize the float32 file by the rules of its precision."""
    rules = rules_of(planned.precision, run.project)
    base = float_file(run, model, items, planned.conversion)
    file = base.path / tflite.FILE
    calibrated = calibrates(planned.precision, run.project)
    key = run.key(
        "tensorflow",
        "ai-edge-quantizer",
        model=base.digest,
        rules=[[rule.precision, rule.operator, rule.name] for rule in rules],
        representative=items.representative_digest if calibrated else None,
        granularity=planned.conversion.granularity,
    )

    def make(folder: Path) -> Mapping[str, object]:
        if not tensorflow_recipe.by_tensorflow(rules):
            feeds = items.representative if calibrated else {}
            return run.worker.call(edge_quantizer.quantize, file, rules, feeds, folder)
        calibrated_file = ranges(run, file, base.digest, items).path / calibration.FILE
        per_channel = planned.conversion.granularity == "per-channel"
        return run.worker.call(
            tensorflow_recipe.quantize, file, rules, calibrated_file, per_channel, folder
        )

    return run.obtain("quantize", key, make)


def ranges(run: Run, file: Path, digest: str, items: Items) -> Artefact:
    """Calibrate a float32 file of this digest on the representative items."""
    key = run.key("tensorflow", model=digest, representative=items.representative_digest)

    def make(folder: Path) -> Mapping[str, object]:
        return run.worker.call(calibration.calibrate, file, items.representative, folder)

    return run.obtain("calibrate", key, make)


def _explained(
    run: Run, model: SavedModel, items: Items, planned: PlannedFile, error: WorkerError
) -> ConversionError | WorkerError:
    """Name the layers on which the converter crashed, where they are known to crash it."""
    try:
        float_artefact = float_file(run, model, items, planned.conversion)
    except (ConversionError, WorkerError):
        return error
    layers = loops.recurrent_layers(flatbuffer.read(float_artefact.path / tflite.FILE))
    if not layers:
        return error
    how = error.message.removeprefix("the TensorFlow worker ").rpartition(" during ")[0]
    return loops.crash(layers, planned.precision, how)
