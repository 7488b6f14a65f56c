"""How the file of a variant is made: from the SavedModel, or from the float32 file by a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.converters import flatbuffer, loops, tflite
from edgekit.converters.quantization import calibration, edge_quantizer, from_float, int8_recipe
from edgekit.errors import ConversionError, WorkerError
from edgekit.pipeline.profiles import Variant, calibrates, rules_of
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items
from edgekit.store import Artefact
from edgekit.types import Conversion, Json, SavedModel

FLOAT = "float32"


def made(run: Run, model: SavedModel, items: Items, variant: Variant) -> Artefact:
    """The artefact that holds a variant's ``model.tflite``.

    Raises :class:`ConversionError` or WorkerError.
    """
    rules = rules_of(variant.precision, run.project)
    try:
        if not rules:
            return _converted(run, model, items, variant)
        return _by_recipe(run, model, items, variant)
    except WorkerError as error:
        if "SIGSEGV" in error.message and calibrates(variant.precision, run.project):
            raise _explained(run, model, items, variant, error) from error
        raise


def _converted(run: Run, model: SavedModel, items: Items, variant: Variant) -> Artefact:
    calibrated = calibrates(variant.precision, run.project)
    conversion = variant.conversion
    key = run.key(
        "tensorflow",
        model=model.digest,
        precision=variant.precision,
        representative=items.representative_digest if calibrated else None,
        **_settings(conversion),
    )
    feeds = items.representative if calibrated else None

    def make(folder: Path) -> Mapping[str, object]:
        convert = from_float.convert if model.is_tflite else tflite.convert
        return run.worker.call(convert, model.path, variant.precision, feeds, folder, conversion)

    return run.keep(run.store.obtain("convert", key, make))


def _settings(conversion: Conversion) -> dict[str, Json]:
    """What of a profile bears on the file; nothing where all is as TensorFlow has it."""
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
    """The artefact of the float32 file that other precisions are made of."""
    return _converted(run, model, items, Variant(FLOAT, "", conversion or Conversion()))


def _by_recipe(run: Run, model: SavedModel, items: Items, variant: Variant) -> Artefact:
    """The float32 file quantized by the variant's rules."""
    rules = rules_of(variant.precision, run.project)
    base = float_file(run, model, items, variant.conversion)
    file = base.path / tflite.FILE
    calibrated = calibrates(variant.precision, run.project)
    key = run.key(
        "tensorflow", "ai-edge-quantizer", model=base.digest,
        rules=[[rule.precision, rule.operator, rule.name] for rule in rules],
        representative=items.representative_digest if calibrated else None,
        granularity=variant.conversion.granularity,
    )  # fmt: skip

    def make(folder: Path) -> Mapping[str, object]:
        if not int8_recipe.by_tensorflow(rules):
            feeds = items.representative if calibrated else {}
            return run.worker.call(edge_quantizer.quantize, file, rules, feeds, folder)
        calibrated_file = ranges(run, file, base.digest, items).path / calibration.FILE
        per_channel = variant.conversion.granularity == "per-channel"
        return run.worker.call(
            int8_recipe.quantize, file, rules, calibrated_file, per_channel, folder
        )

    return run.keep(run.store.obtain("quantize", key, make))


def ranges(run: Run, file: Path, digest: str, items: Items) -> Artefact:
    """A float32 file, of a digest, with every tensor's range over the representative items."""
    key = run.key("tensorflow", model=digest, representative=items.representative_digest)

    def make(folder: Path) -> Mapping[str, object]:
        return run.worker.call(calibration.calibrate, file, items.representative, folder)

    return run.keep(run.store.obtain("calibrate", key, make))


def _explained(
    run: Run, model: SavedModel, items: Items, variant: Variant, error: WorkerError
) -> ConversionError | WorkerError:
    """The error that names the layers on which the converter died, where it is known to."""
    try:
        found = float_file(run, model, items, variant.conversion)
    except (ConversionError, WorkerError):
        return error
    layers = loops.recurrent_layers(flatbuffer.read(found.path / tflite.FILE))
    if not layers:
        return error
    how = error.message.removeprefix("the TensorFlow worker ").rpartition(" during ")[0]
    return loops.crash(layers, variant.precision, how)
