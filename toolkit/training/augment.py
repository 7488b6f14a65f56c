"""Random changes of the items a model is trained on: layers of Keras, the same at the same step.

Runs in the worker. Layers of Keras 3 change the items in the pipeline, before a model of either
generation sees them, so none of them is ever exported.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError
from edgekit.types import Json
from edgekit.usercode import resolve, user_errors

CODE = "EK-DATA-082"
# What Keras calls the variable that a random layer draws from.
SEED_STATE = "seed_generator_state"
# A layer may draw so often in one step before its numbers meet those of the next.
DRAWS = 64
# Layers that are random and leave labels as they are, beside those that say so.
OTHERS = ["AugMix", "GaussianNoise", "RandAugment"]

# Layers that move what is in a picture, and tasks whose labels say where it is.
MOVING = [
    "AugMix", "CutMix", "MixUp", "RandAugment", "RandomCrop", "RandomElasticTransform",
    "RandomFlip", "RandomPerspective", "RandomRotation", "RandomShear", "RandomTranslation",
    "RandomZoom",
]  # fmt: skip
PLACED = ("detection", "segmentation")

# Changes a batch of an input at a step.
Change = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Augmentation:
    """Which layers change the items: those that a function of the user returns, or named ones.

    ``layers`` are names of Keras's layers, in the order in which they are applied, each with its
    arguments by name, or its first. ``root`` is where the function's file is, ``files`` are
    digests of it and of what it imports.
    """

    root: Path
    function: str | None = None
    layers: tuple[tuple[str, Any], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Json:
        """What of it a store key needs."""
        layers: list[Json] = [[name, arguments] for name, arguments in self.layers]
        return {"function": self.function, "layers": layers, "files": dict(self.files)}


def changes(
    augmentation: Augmentation, firsts: Mapping[str, npt.NDArray[Any]], seed: int
) -> Mapping[str, Change]:
    """Return what changes each input, by the input's name; ``firsts`` are batches of one.

    A function of the user returns a layer, a list of layers, or either by the input's name. Raises
    :class:`DataError` where something else is returned, or where a layer is not what Keras has.
    """
    by_input: Any = _layers(augmentation)
    if not isinstance(by_input, Mapping):
        if len(firsts) > 1:
            message = (
                f"the model has the inputs {', '.join(firsts)}, and [train] augment names none"
            )
            hint = 'return a dict of layers by input: {"image": [keras.layers.RandomFlip()]}'
            raise DataError(CODE, message, hint)
        by_input = {next(iter(firsts)): by_input}
    unknown = sorted(set(by_input) - set(firsts))
    if unknown:
        message = f"[train] augment: the model has no input {unknown[0]!r}"
        raise DataError(CODE, message, f"its inputs are {', '.join(firsts)}")
    by_name = {}
    for number, (name, layers) in enumerate(by_input.items()):
        listed = list(layers) if isinstance(layers, (list, tuple)) else [layers]
        by_name[name] = _change(augmentation, listed, firsts[name], seed + 1000 * number)
    return by_name


def refuse_moving(augmentation: Augmentation | None, task: str) -> None:
    """Raise :class:`DataError` where layers move what is in a picture, and labels say where it is.

    ``task`` are the tasks of the outputs, in words.
    """
    placed = [one for one in PLACED if one in task]
    if augmentation is None or not placed:
        return
    found: Any = _layers(augmentation)
    listed = list(found.values()) if isinstance(found, Mapping) else [found]
    layers = [
        layer for one in listed for layer in (one if isinstance(one, (list, tuple)) else [one])
    ]
    moving = next((n for n in (type(layer).__name__ for layer in layers) if n in MOVING), None)
    if moving is not None:
        message = f"[train] augment: {moving} moves what is in a picture, and leaves its labels"
        hint = (
            f"the labels of {placed[0]} say where things are: change colours and noise alone, or"
            " move pictures and labels together in the function that [data] train names"
        )
        raise DataError(CODE, f"{message} where they were", hint)


def _layers(augmentation: Augmentation) -> Any:
    import keras

    if augmentation.function is not None:
        with user_errors(augmentation.function):
            return resolve(augmentation.function, augmentation.root)()
    made = []
    names = [name for name in dir(keras.layers) if name.startswith("Random")] + OTHERS
    for name, said in augmentation.layers:
        arguments = said if isinstance(said, Mapping) else {}
        first = () if isinstance(said, Mapping) else (said,)
        if name not in names:
            message = f"[train] augment: {name} is not a random layer of Keras"
            raise DataError(CODE, message, f"use one of {', '.join(names)}")
        try:
            kind = getattr(keras.layers, name)
            made.append(kind(*first, **arguments, seed=0, dtype="float32"))
        except (TypeError, ValueError) as error:
            message = f"[train] augment: {name} does not take {said!r}"
            hint = " ".join(str(error).split())[:200]
            raise DataError(CODE, message, hint) from error
    return made


def _change(
    augmentation: Augmentation, layers: list[Any], first: npt.NDArray[Any], seed: int
) -> Change:
    import keras
    import tensorflow as tf

    shown = augmentation.function or "[train] augment"
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            message = f"{shown} gave {type(layer).__module__}.{type(layer).__name__}"
            hint = "give layers of Keras 3 (keras.layers): they serve models of tf_keras as well"
            raise DataError(CODE, message, hint)
        try:
            # It makes the layer's variables, and tells a layer that does not fit the items.
            changed = layer(first, training=True)
        except Exception as error:
            message = f"{shown}: {layer.name} cannot change items shaped {list(first.shape[1:])}"
            raise DataError(CODE, message, " ".join(str(error).split())[:200]) from error
        if tuple(changed.shape) != first.shape:
            message = f"{shown}: {layer.name} makes {list(changed.shape[1:])} of items shaped"
            hint = "what changes the shape belongs into the model, or into [data.preprocess]"
            raise DataError(CODE, f"{message} {list(first.shape[1:])}", hint)

    def change(batch: Any, step: Any) -> Any:
        changed = tf.cast(batch, tf.float32) if first.dtype.kind in "iu" else batch
        for number, layer in enumerate(layers):
            states = [
                _state(seed, number, place, step) if variable.name == SEED_STATE else variable.value
                for place, variable in enumerate(layer.non_trainable_variables)
            ]
            trained = [variable.value for variable in layer.trainable_variables]
            changed, _ = layer.stateless_call(trained, states, changed, **_said(layer))
        if first.dtype.kind in "iu":
            changed = tf.round(changed)
        return tf.saturate_cast(changed, batch.dtype)

    return change


def _said(layer: Any) -> dict[str, bool]:
    """Return the argument that tells a layer that it is trained, where its call takes it."""
    return {"training": True} if "training" in inspect.signature(layer.call).parameters else {}


def _state(seed: int, layer: int, place: int, step: Any) -> Any:
    """Return the state of a layer's random numbers, ``[2]`` uint32, of one step alone."""
    import tensorflow as tf

    digest = hashlib.blake2b(f"{seed} {layer} {place}".encode(), digest_size=4).digest()
    own = tf.constant(np.frombuffer(digest, np.uint32)[0])
    return tf.stack([own, tf.cast(step * DRAWS, tf.uint32)])
