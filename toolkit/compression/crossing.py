"""Convert a model to tf_keras for TFMOT, and back to the user's Keras. In the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.compression.stage import FILE
from edgekit.models.bridge import carry_back, prove_equal, to_tf_keras
from edgekit.models.custom import load_twins
from edgekit.models.export import Names, export_keras
from edgekit.models.float32 import in_float32
from edgekit.models.load import load
from edgekit.types import Model
from edgekit.worker import at_most

KERAS_FILE = "model.keras"
# A crossing is quick: a slow one has met a graph that it cannot walk.
SECONDS = 600


def cross(
    model: Model,
    samples: tuple[Path, ...],
    twins: Mapping[str, str],
    root: Path,
    folder: Path,
    trust: bool,
) -> Mapping[str, Any]:
    """Write the flat tf_keras twin of a model file as ``model.h5``, and return its proof.

    ``samples`` are ``.npy`` files of preprocessed items, one per input in the model's order;
    ``twins`` names the tf_keras class of each layer class of the user, found from ``root``. Raises
    :class:`CompressionError` if a layer cannot cross, or the twin's outputs differ.
    """
    original = in_float32(load(model, trust))
    with at_most(SECONDS, "rebuilding the model in tf_keras"):
        crossing = to_tf_keras(original, load_twins(twins, root))
        proof = prove_equal(original, crossing.twin, _open(samples))
    crossing.twin.save(folder / FILE)
    layers = {name: list(path) for name, path in crossing.layers.items()}
    return {"proof": asdict(proof), "layers": layers, "dropped": list(crossing.dropped)}


def carry(
    original: Model,
    twin: Model,
    layers: Mapping[str, list[str]],
    samples: tuple[Path, ...],
    names: Names,
    folder: Path,
    trust: bool,
) -> Mapping[str, Any]:
    """Write the original with the twin's weights as ``model.keras``, and its SavedModel; the
    facts.

    Raises :class:`CompressionError` if their outputs differ.
    """
    compressed = load(twin, trust)
    paths = {name: tuple(path) for name, path in layers.items()}
    back = carry_back(compressed, in_float32(load(original, trust)), paths)
    proof = prove_equal(back, compressed, _open(samples))
    back.save(folder / KERAS_FILE)
    return {**export_keras(back, folder, True, names), "proof": asdict(proof)}


def _open(samples: tuple[Path, ...]) -> list[Any] | None:
    return [np.load(path) for path in samples] or None
