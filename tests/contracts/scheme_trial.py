"""The trial of :mod:`edgekit.contracts.scheme`, in a process that imports TensorFlow."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.compression.scheme import Context, copy, kernels
from edgekit.compression.stage import measure_layers
from edgekit.errors import CompressionError
from edgekit.models.load import load
from edgekit.types import Model

STEPS, BATCH = 4, 16


def network() -> Any:
    """A small tf_keras network: convolution, depthwise convolution, batch norms, dense layer."""
    import tf_keras

    layers = tf_keras.layers
    tf_keras.utils.set_random_seed(1)
    image = tf_keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="folded")(x))
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = layers.BatchNormalization(name="late")(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    return tf_keras.Model(image, layers.Dense(10, activation="softmax", name="classes")(x))


class Trial:
    """One scheme on the network."""

    def __init__(self, scheme: Any, table: Any, folder: Path) -> None:
        self.scheme, self.table, self.folder = scheme, table, folder
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(STEPS * BATCH, 8, 8, 4)).astype(np.float32)
        self.y = rng.integers(0, 10, len(self.x))
        self.model = network()

    def compressed(self, model: Any, steps: int, before: tuple[str, ...] = ()) -> Any:
        """The model after the scheme, trained for ``steps``."""
        plan = self.scheme.plan(copy(model), self.table)
        context = Context(steps, before, (self.x,))
        wrapped = self.scheme.wrap(copy(model), self.table, plan, context)
        if steps:
            wrapped.compile("adam", "sparse_categorical_crossentropy")
            callbacks = self.scheme.callbacks(None)
            wrapped.fit(self.x, self.y, batch_size=BATCH, verbose=0, callbacks=callbacks)
        return self.scheme.strip(wrapped, copy(model), plan)

    def outcome(self, made: Any) -> dict[str, Any]:
        """What a compressed model is like."""
        plan = self.scheme.plan(copy(self.model), self.table)
        path = self.folder / "made.h5"
        made.save(path)
        answers = made.predict(self.x, verbose=0)
        again = load(Model(path, "h5", "keras2", "")).predict(self.x, verbose=0)
        return {
            "layers": [asdict(row) for row in measure_layers(made, plan)],
            "input": list(made.inputs[0].shape),
            "output": list(made.outputs[0].shape),
            "finite": bool(np.isfinite(answers).all()),
            "reloaded": float(np.abs(again - answers).max()),
            "answers moved": float(np.abs(answers - self.model.predict(self.x, verbose=0)).max()),
            "moved": _moved(self.model, made),
            "elements": _elements(made),
        }

    def zeros(self) -> dict[str, tuple[float, float]]:
        """The share of zeros by layer, before and after, of a model that was pruned before."""
        pruned = copy(self.model)
        for name in ("first", "classes"):
            layer = pruned.get_layer(name)
            kernel, *rest = layer.get_weights()
            kernel[np.abs(kernel) < np.median(np.abs(kernel))] = 0
            layer.set_weights([kernel, *rest])
        made = self.compressed(pruned, STEPS, ("prune",))
        before, after = _zeros(pruned), _zeros(made)
        return {name: (before[name], after.get(name, 0.0)) for name in ("first", "classes")}

    def refusal(self, table: Any) -> str:
        """The code of the error that a plan ends with, or nothing."""
        try:
            self.scheme.plan(copy(self.model), table)
        except CompressionError as error:
            return error.code
        return ""


def _moved(model: Any, made: Any) -> dict[str, bool]:
    """Whether a layer's kernels changed, by its name in the model."""
    found = {}
    kept = {_plain(layer): kernels(layer) for layer in made.layers}
    for layer in model.layers:
        now = list(kept.get(layer.name, {}).values())
        was = list(kernels(layer).values())
        if was and len(now) == len(was):
            found[layer.name] = any(not np.array_equal(a, b) for a, b in zip(was, now, strict=True))
    return found


def _zeros(model: Any) -> dict[str, float]:
    return {
        _plain(layer): float(np.mean(next(iter(kernels(layer).values())) == 0))
        for layer in model.layers
        if kernels(layer)
    }


def _elements(model: Any) -> int:
    return sum(int(weight.size) for weight in model.get_weights())


def _plain(layer: Any) -> str:
    return str(layer.name).removeprefix("quant_")


def main(folder: Path, without: Collection[str] = ()) -> None:
    """Try the scheme of ``settings.pickle``, ``without`` the outcomes of these names."""
    scheme, table, left_out, unknown = pickle.loads((folder / "settings.pickle").read_bytes())
    trial = Trial(scheme, table, folder)
    weights = trial.model.get_weights()
    plan = scheme.plan(trial.model, table)
    changed = [
        float(np.abs(was - now).max())
        for was, now in zip(weights, trial.model.get_weights(), strict=True)
    ]
    outcomes: dict[str, Callable[[], Any]] = {
        "kernels": lambda: [layer.name for layer in trial.model.layers if kernels(layer)],
        "plan": lambda: [asdict(row) for row in plan],
        "changed by planning": lambda: max(changed),
        "input": lambda: list(trial.model.inputs[0].shape),
        "output": lambda: list(trial.model.outputs[0].shape),
        "elements": lambda: _elements(trial.model),
        "one shot": lambda: trial.outcome(trial.compressed(trial.model, 0)),
        "trained": lambda: trial.outcome(trial.compressed(trial.model, STEPS)),
        "zeros": trial.zeros,
        "left out": lambda: [asdict(row) for row in scheme.plan(copy(trial.model), left_out)],
        "unknown": lambda: trial.refusal(unknown),
        "settled": lambda: scheme.settled(table, 100),
    }
    found = {name: outcome() for name, outcome in outcomes.items() if name not in without}
    (folder / "outcomes.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
