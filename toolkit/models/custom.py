"""The user's own layers, from their own module, for the loaders. Runs in the worker."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekit.errors import ModelError
from edgekit.types import Model
from edgekit.usercode import import_file, resolve

KINDS = ("Layer", "Initializer", "Regularizer", "Constraint")
# The namespace of each kind, in both Keras.
PLACES = {
    "Layer": "layers",
    "Initializer": "initializers",
    "Regularizer": "regularizers",
    "Constraint": "constraints",
}


def custom_objects(model: Model, library: Any) -> Mapping[str, Any]:
    """Return the user module's objects for the loader of one Keras, by class and registered
    name.

    ``library`` is ``keras`` or ``tf_keras``. Every layer class of the module, every class and
    function it registers, and its functions whose names are not Keras's own.
    """
    if model.custom_objects is None:
        return {}
    root = model.root or model.custom_objects.parent
    before = set(_registered())
    module = import_file(model.custom_objects, root, model.custom_objects.name)
    registered = {k: v for k, v in _registered().items() if k not in before or _of(module, v)}
    objects = dict(_offered(module, library))
    for name, kind in registered.items():
        if _library(kind) in (None, library.__name__):
            objects |= {name: kind, name.rpartition(">")[2]: kind, kind.__name__: kind}
    return objects


def load_twins(table: Mapping[str, str], root: Path) -> dict[str, type]:
    """Load the tf_keras twin of each custom layer, by the name of the layer's class.

    ``table`` maps names to references such as ``layers.py:MyLayerKeras2``. Raises
    :class:`ModelError` if one is not a tf_keras layer class, :class:`ProjectError` if it is
    missing.
    """
    import tf_keras

    twins: dict[str, type] = {}
    for name, source in table.items():
        twin: Any = resolve(source, root)
        if not inspect.isclass(twin) or not issubclass(twin, tf_keras.layers.Layer):
            hint = "a twin is a class that derives from tf_keras.layers.Layer and computes the same"
            message = f"twins: {source}, the twin of {name}, is not a tf_keras layer class"
            raise ModelError("EK-MODEL-015", message, hint)
        twins[name] = twin
    return twins


def _offered(module: ModuleType, library: Any) -> Iterator[tuple[str, Any]]:
    for name, kind in _layers(module):
        if _library(kind) == library.__name__:
            yield name, kind
    spaces = [library.activations, library.losses, *(getattr(library, p) for p in PLACES.values())]
    for name, member in vars(module).items():
        own = inspect.isfunction(member) and member.__module__ == module.__name__
        if own and not any(hasattr(space, name) for space in spaces):
            yield name, member


def _layers(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the module's own classes, of either Keras, that a configuration may name."""
    for name, one in vars(module).items():
        if inspect.isclass(one) and _library(one) and not _is_keras(one.__module__):
            yield name, one


def _library(candidate: Any) -> str | None:
    """Name the Keras that a class derives from."""
    import keras
    import tf_keras

    for library in (keras, tf_keras):
        bases = tuple(getattr(getattr(library, PLACES[kind]), kind) for kind in KINDS)
        if inspect.isclass(candidate) and issubclass(candidate, bases):
            return str(library.__name__)
    return None


def _registered() -> dict[str, Any]:
    import keras
    import tf_keras

    return {**keras.saving.get_custom_objects(), **tf_keras.utils.get_custom_objects()}


def _of(module: ModuleType, one: Any) -> bool:
    return getattr(one, "__module__", "") == module.__name__


def _is_keras(module: str) -> bool:
    return module.split(".")[0] in ("keras", "tf_keras")
