"""Guard the loaders of both Keras: check every object that a name leads to. In the worker.

:mod:`edgekit.models.safety` goes by names. Here the object itself counts: the class or function
that a loader is about to use must be one of Keras's rooms for layers and what layers are made of,
one of TFMOT's, or one that the user's own module gives.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from edgekit.errors import ModelError
from edgekit.models.allowlist import is_call
from edgekit.models.safety import CODE, FUNCTIONS, MAKERS, NAMESPACES, TFMOT

SPECS = "tensorflow.python."
LIBRARIES = ("keras.src.", "tf_keras.src.")


@contextlib.contextmanager
def guarded(path: Path, offered: Iterable[Any]) -> Iterator[None]:
    """Raise :class:`ModelError` if a loader inside resolves what an untrusted file may not use.

    ``offered`` are the objects of the user's own module.
    """
    from keras.src.saving import serialization_lib as keras3
    from tf_keras.src.layers.core import tf_op_layer
    from tf_keras.src.saving import serialization_lib as keras2

    own = {id(one) for one in offered}

    def check_object(resolved: Any) -> Any:
        if id(resolved) not in own and not is_building_block(resolved):
            raise _refusal(path, f"{resolved.__module__}.{resolved.__qualname__}")
        return resolved

    def check_call(resolved: Any) -> Any:
        if resolved is not None and id(resolved) not in _allowed_calls():
            raise _refusal(path, getattr(resolved, "__name__", str(resolved)))
        return resolved

    with (
        _checked(keras3, "_retrieve_class_or_fn", check_object),
        _checked(keras2, "_retrieve_class_or_fn", check_object),
        _checked(tf_op_layer, "get_symbol_from_name", check_call),
    ):
        yield


def is_building_block(resolved: Any) -> bool:
    """Tell whether a class or function is a part of models, and runs no code of a file."""
    module, name = str(getattr(resolved, "__module__", "")), str(getattr(resolved, "__name__", ""))
    if name in CODE | MAKERS:
        return False
    if module.startswith(TFMOT):
        return inspect.isclass(resolved)
    if module.startswith(SPECS):
        return inspect.isclass(resolved) and name.endswith("Spec")
    library = next((one for one in LIBRARIES if module.startswith(one)), None)
    if library is None:
        return False
    room = module.removeprefix(library).partition(".")[0]
    # The functions of losses and activations may come from the backend that computes them.
    rooms = (
        NAMESPACES | {"legacy", "backend"} if inspect.isclass(resolved) else FUNCTIONS | {"backend"}
    )
    return room in rooms


@cache
def _allowed_calls() -> frozenset[int]:
    """Return the ids of the functions that a layer may call; TensorFlow keeps them for ever."""
    from tensorflow.python.util import tf_export

    exported = tf_export._NAME_TO_SYMBOL_MAPPING
    known = {name for name in exported if is_call(name)}
    classes = {id(exported[name]) for name in ("RaggedTensor",) if name in exported}
    return frozenset({id(exported[name]) for name in known} | classes)


@contextlib.contextmanager
def _checked(place: Any, name: str, check: Callable[[Any], Any]) -> Iterator[None]:
    original = getattr(place, name)

    def checked(*args: Any, **kwargs: Any) -> Any:
        return check(original(*args, **kwargs))

    setattr(place, name, checked)
    try:
        yield
    finally:
        setattr(place, name, original)


def _refusal(path: Path, name: str) -> ModelError:
    hint = "it is neither a layer nor a part of one: use --trust if you know who made it"
    return ModelError("EK-MODEL-005", f"{path} uses {name}", hint)
