"""Variants of an int8 file: operators kept in float, channels equalised, biases corrected.

Each is in the store, and made from what the store has already: calibrating takes longest and is
done once for all variants of one float file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.converters import tflite
from edgekit.converters.quantization import (
    bias_correction,
    calibration,
    equalization,
    post_training,
    sensitivity,
)
from edgekit.pipeline import quantize
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.store import Artefact
from edgekit.types import Json, SavedModel

Maker = Callable[[Path], Mapping[str, Json]]


@dataclass(frozen=True)
class Variant:
    """What is done to a model before, while and after it is quantized.

    ``kept`` are operators that stay float, by the names of their outputs.
    """

    kept: tuple[str, ...] = ()
    equalized: bool = False
    corrected: bool = False


@dataclass(frozen=True)
class Ground:
    """A float file and its calibrated twin, from which variants are made."""

    model: Path
    calibrated: Artefact

    @property
    def operators(self) -> list[tuple[str, str]]:
        """Kind and output's name of each operator."""
        return [(kind, name) for kind, name in self.calibrated.facts["operators"]]


class Workshop:
    """Makes variants of one model in a run."""

    def __init__(self, run: Run, model: SavedModel, items: Items) -> None:
        self._run = run
        self._items = items
        self._source = model

    def float_file(self) -> Artefact:
        """Make the model's float32 file, where the run's candidates have it too."""
        return quantize.float_file(self._run, self._source, self._items)

    def equalized_file(self) -> Artefact:
        """Equalise the float file's channels; ``pairs`` tells which layers."""
        model = self.float_file()
        return self._made(
            "equalize",
            self._key(model=model.digest),
            lambda folder: self._run.worker.call(
                equalization.equalize, model.path / tflite.FILE, self._feeds, folder
            ),
        )

    def ground(self, equalized: bool) -> Ground:
        """Calibrate a float file on the run's representative items."""
        source = self.equalized_file() if equalized else self.float_file()
        model = source.path / (equalization.FILE if equalized else tflite.FILE)
        return Ground(model, quantize.ranges(self._run, model, source.digest, self._items))

    def sensitivity(self, ground: Ground) -> Mapping[str, float]:
        """Measure the SQNR in dB of each operator quantized by itself."""
        path = ground.calibrated.path / calibration.FILE
        made = self._made(
            "sensitivity",
            self._key("ai-edge-litert", calibrated=ground.calibrated.digest),
            lambda folder: self._run.worker.call(
                sensitivity.measure, path, ground.operators, self._feeds, folder
            ),
        )
        found: Mapping[str, float] = made.facts["sqnr"]
        return found

    def make(self, variant: Variant) -> Artefact:
        """Make the variant as ``model.tflite``; ``layers`` tells how many biases were corrected."""
        ground = self.ground(variant.equalized)
        path = ground.calibrated.path / calibration.FILE
        names = hashlib.sha256(json.dumps(sorted(variant.kept)).encode()).hexdigest()
        quantized = self._made(
            "quantize",
            self._run.key("tensorflow", calibrated=ground.calibrated.digest, keep_float=names),
            lambda folder: self._run.worker.call(
                post_training.quantize, path, folder, keep_float=variant.kept
            ),
        )
        if not variant.corrected:
            return quantized
        file = quantized.path / post_training.FILE
        return self._made(
            "correct",
            self._key("ai-edge-litert", quantized=quantized.digest),
            lambda folder: self._run.worker.call(
                bias_correction.correct, ground.model, file, self._feeds, folder
            ),
        )

    @property
    def _feeds(self) -> Mapping[str, Path]:
        return self._items.representative

    def _key(self, *distributions: str, **parts: Json) -> dict[str, Json]:
        representative = self._items.representative_digest
        return self._run.key("tensorflow", *distributions, representative=representative, **parts)

    def _made(self, stage: str, key: dict[str, Json], make: Maker) -> Artefact:
        return self._run.obtain(stage, key, make)
