"""Repair configurations that today's loaders misread or refuse, without changing meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

# Tells an operation of Keras 3 from the layer of the same name.
OPERATION = "keras.ops>"
# Every layer's configuration has one of these, no operation's does.
LAYERS = frozenset({"trainable", "batch_shape", "batch_input_shape", "layers"})


def repaired(config: Any, generation: Literal["keras3", "keras2"], kind: str) -> Any:
    """Return the configuration as today's loader of a generation reads it; equal if it does.

    What models were compiled with is taken out: it names losses and metrics that may be gone, or
    the user's own, and nothing here trains with them. A Keras 2 GRU that says nothing of
    ``reset_after`` is from before there was a choice: False. A Keras 2 ``.h5`` keeps the user's own
    function in a form that its loader does not read; by its name alone it does. A Keras 3 ``.h5``
    keeps of a ``keras.ops`` call (``x + 1``) the name alone, which its loader takes for a layer's:
    it gets a name that :func:`operations` knows.
    """
    if isinstance(config, list):
        return [repaired(one, generation, kind) for one in config]
    if not isinstance(config, Mapping):
        return config
    fixed = {
        key: repaired(value, generation, kind)
        for key, value in config.items()
        if key != "compile_config" or value is None
    }
    inner = fixed.get("config")
    is_function = (fixed.get("class_name"), fixed.get("module")) == ("function", "builtins")
    if generation == "keras2" and kind != "keras" and is_function:
        return inner
    if not isinstance(inner, dict):
        return fixed
    if generation == "keras2" and fixed.get("class_name") in ("GRU", "GRUCell"):
        fixed["config"] = {"reset_after": False, **inner}
    of_graph = "inbound_nodes" in fixed and "module" not in fixed
    if generation == "keras3" and of_graph and not inner.keys() & LAYERS:
        fixed["class_name"] = OPERATION + str(fixed.get("class_name"))
    return fixed


def operations(config: Any) -> Mapping[str, type]:
    """Return Keras 3's classes for the operations that :func:`repaired` named. In the worker."""
    from keras.src import ops
    from keras.src.activations import activations
    from keras.src.ops.operation import Operation

    classes = {}
    spaces = (ops.core, ops.image, ops.linalg, ops.math, ops.nn, ops.numpy, activations)
    for name in set(_named(config)):
        for space in spaces:
            kind = vars(space).get(name.removeprefix(OPERATION))
            if isinstance(kind, type) and issubclass(kind, Operation):
                classes[name] = kind
    return classes


def _named(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        name = config.get("class_name")
        if isinstance(name, str) and name.startswith(OPERATION):
            yield name
    if isinstance(config, (list, Mapping)):
        for value in config.values() if isinstance(config, Mapping) else config:
            yield from _named(value)
