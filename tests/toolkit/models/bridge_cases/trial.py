"""What is done with each model of the files beside this one: cross, prove, store, carry back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import CompressionError
from edgekit.models.bridge import carry_back, prove_equal, to_tf_keras
from edgekit.models.bridge.graph import functional
from edgekit.models.bridge.proof import infer
from edgekit.models.load import is_keras3


def attempt(build: Callable[[], Any], twins: Mapping[str, type], deep: bool) -> dict[str, Any]:
    """How a model crosses; with ``deep`` also through files and back, else the refusal."""
    import keras
    import tf_keras

    keras.utils.set_random_seed(1)
    model = build()
    started = time.process_time()
    try:
        crossing = to_tf_keras(model, twins)
        proof = prove_equal(model, crossing.twin, None)
    except CompressionError as error:
        return {"code": error.code, "message": error.message, "hint": error.hint}
    seconds = time.process_time() - started
    outcome: dict[str, Any] = {
        "difference": proof.random,
        "seconds": seconds,
        "dropped": crossing.dropped,
        "layers": {name: "/".join(path) for name, path in crossing.layers.items()},
        "kinds": {layer.name: type(layer).__name__ for layer in crossing.twin.layers},
        "flat": not any(isinstance(layer, tf_keras.Model) for layer in crossing.twin.layers),
        "trained": sum(int(np.prod(w.shape)) for w in crossing.twin.trainable_weights),
        "trains": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
    }
    if not deep:
        return outcome
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "twin.h5"
        crossing.twin.save(file)
        own = {kind.__name__: kind for kind in twins.values()}
        stored = tf_keras.models.load_model(file, compile=False, custom_objects=own)
        outcome["stored"] = prove_equal(model, stored, None).random
        if model.weights:
            outcome["back"] = returned(model, stored, crossing.layers, Path(folder))
    return outcome


def returned(model: Any, twin: Any, layers: Mapping[str, tuple[str, ...]], folder: Path) -> Any:
    """Change a twin's weights and carry them back; what a user would look at in the answer."""
    keras = __import__("keras" if is_keras3(model) else "tf_keras")
    before = model.get_weights()
    rng = np.random.default_rng(3)
    for weight in twin.trainable_weights:
        weight.assign(weight + rng.normal(scale=0.2, size=weight.shape))
    back = carry_back(twin, model, layers)
    file = folder / "back.keras"
    back.save(file)
    again = keras.models.load_model(file, compile=False)
    return {
        "difference": prove_equal(back, twin, None).random,
        "reloaded": prove_equal(again, twin, None).random,
        "changed": changed(model, back),
        "untouched": all(map(np.array_equal, before, model.get_weights())),
        "same kind": type(back) is type(model),
        "same layers": names(back) == names(model),
        "same ends": ends(back) == ends(model),
    }


def changed(model: Any, back: Any) -> bool:
    """Whether two models of one structure answer differently, so that equality says something."""
    rng = np.random.default_rng(0)
    shapes = [(2, *(size or 8 for size in t.shape[1:])) for t in model.inputs]
    batch = [rng.integers(0, 2, shape) for shape in shapes]
    pairs = zip(infer(model, batch), infer(back, batch), strict=True)
    return any(not np.allclose(left, right) for left, right in pairs)


def names(model: Any) -> list[Any]:
    """The names of a model's layers, nested as they are."""
    return [
        [layer.name, names(layer) if hasattr(layer, "layers") else None] for layer in model.layers
    ]


def ends(model: Any) -> Any:
    """The names of a model's inputs and outputs, and their structure."""
    structure = functional(model)._inputs_struct if is_keras3(model) else model._nested_inputs
    shape = sorted(structure) if isinstance(structure, dict) else type(structure).__name__
    inputs = [tensor._keras_history[0].name for tensor in model.inputs]
    return [inputs, getattr(model, "output_names", None), shape]
