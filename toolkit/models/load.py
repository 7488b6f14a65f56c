"""A Keras model object from its file or the user's function. Runs in the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.errors import ModelError
from edgekit.types import Model
from edgekit.usercode import resolve, user_errors


def load(model: Model, trust: bool = False) -> Any:
    """The Keras model in a file, by the loader of its own generation, without compiling it.

    Raises :class:`ModelError` with the loader's own reason.
    """
    try:
        if model.generation == "keras3":
            import keras

            return keras.saving.load_model(model.path, compile=False, safe_mode=not trust)
        import tf_keras

        if model.kind == "keras":
            return tf_keras.models.load_model(model.path, compile=False, safe_mode=not trust)
        return tf_keras.models.load_model(model.path, compile=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:600]
        hint = f"its own loader ({model.generation}) says: {type(error).__name__}: {reason}"
        raise ModelError("EK-MODEL-008", f"{model.path} cannot be loaded", hint) from error


def build(source: str, root: Path) -> Any:
    """The Keras model that the user's function returns.

    Raises :class:`ModelError` where it returns something else.
    """
    function = resolve(source, root)
    with user_errors(source):
        model = function()
    if not hasattr(model, "get_config") or not hasattr(model, "fit"):
        raise ModelError(
            "EK-MODEL-009", f"{source} returned {type(model).__name__}, no Keras model"
        )
    return model


def is_keras3(model: Any) -> bool:
    """Whether a model object is Keras 3's (else tf_keras's)."""
    return any(kind.__module__.startswith("keras.") for kind in type(model).__mro__)
