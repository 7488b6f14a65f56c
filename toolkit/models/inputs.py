"""The inputs of a Keras model by name, and how to call it on tensors. In the worker."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.errors import ModelError
from edgekit.types import TensorSpec

Pack = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Inputs:
    """A model's inputs in its own order; ``pack`` turns tensors by name into its argument."""

    specs: tuple[TensorSpec, ...]
    pack: Pack


def inputs_of(model: Any, items: Mapping[str, TensorSpec] | None = None) -> Inputs:
    """Find the inputs as the model defines them, as it was called, or as ``items`` of data are.

    A Keras 3 model without Input layers remembers the shapes it was called on, not their dtypes:
    those are float32, unless the items hold integers. Raises :class:`ModelError` where nothing says
    what the model takes.
    """
    defined = _defined(model)
    if defined:
        names = _names(model, defined)
        specs = tuple(
            TensorSpec(name, known_shape(tensor.shape, name), dtype_name(tensor))
            for name, tensor in zip(names, defined, strict=True)
        )
        return Inputs(specs, _ordered(names))
    called = _called(model, items or {})
    if called is not None:
        return called
    if items:
        return _from_items(model, items)
    hint = "call it once on a batch in your function, or wrap it in keras.Input: then it knows them"
    raise ModelError("EK-MODEL-010", "the model's inputs are unknown", hint)


def dtype_name(tensor: Any) -> str:
    """Return a tensor's dtype as numpy calls it."""
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def _defined(model: Any) -> list[Any]:
    try:
        return list(model.inputs or [])
    # A Sequential that was never built, a subclassed model.
    except (AttributeError, ValueError):
        return []


def _names(model: Any, tensors: list[Any]) -> list[str]:
    names = getattr(model, "input_names", None) or [tensor.name for tensor in tensors]
    return [str(name).split(":")[0].replace("/", "_") for name in names]


def _ordered(names: list[str]) -> Pack:
    def pack(tensors: Mapping[str, Any]) -> Any:
        ordered = [tensors[name] for name in names]
        return ordered[0] if len(ordered) == 1 else ordered

    return pack


def _called(model: Any, items: Mapping[str, TensorSpec]) -> Inputs | None:
    """Read the inputs from what the model remembers of its first call."""
    structure = _remembered(model)
    if structure is None:
        return None
    leaves, pack = _flatten(structure, _argument(model))
    single = next(iter(items.values())) if len(items) == 1 and len(leaves) == 1 else None
    specs = []
    for name, leaf in leaves.items():
        shape = known_shape(getattr(leaf, "shape", leaf), name)
        item = items.get(name, single)
        dtype = dtype_name(leaf) if hasattr(leaf, "dtype") else _dtype(item)
        specs.append(TensorSpec(name, (None, *shape[1:]), dtype))
    return Inputs(tuple(specs), pack)


def _remembered(model: Any) -> Any:
    """Return the shapes or specs of the first argument of a call, in its structure."""
    if hasattr(model, "save_spec"):
        spec = model.save_spec()
        return spec[0][0] if spec and spec[0] else None
    shapes = getattr(model, "_build_shapes_dict", None)
    if not shapes or not getattr(model, "built", False):
        return None
    if len(shapes) > 1:
        hint = "take one dict of tensors instead, or wrap the model in keras.Input"
        raise ModelError("EK-MODEL-010", "the model's call takes several arguments", hint)
    return next(iter(shapes.values()))


def _flatten(structure: Any, name: str) -> tuple[dict[str, Any], Pack]:
    """Return the leaves by name, and a function that packs tensors into the same structure."""
    if isinstance(structure, Mapping):
        parts = {key: _flatten(value, _clean(key)) for key, value in structure.items()}
        leaves = {k: v for found, _ in parts.values() for k, v in found.items()}
        return leaves, lambda t: {key: pack(t) for key, (_, pack) in parts.items()}
    is_shape = isinstance(structure, (list, tuple)) and all(
        isinstance(size, (int, type(None))) for size in structure
    )
    if isinstance(structure, (list, tuple)) and not is_shape:
        several = [_flatten(value, f"{name}_{at}") for at, value in enumerate(structure)]
        leaves = {k: v for found, _ in several for k, v in found.items()}
        return leaves, lambda t: [pack(t) for _, pack in several]
    return {name: structure}, lambda t: t[name]


def _from_items(model: Any, items: Mapping[str, TensorSpec]) -> Inputs:
    """Take the inputs from the data: one array for the call's argument, several as a dict."""
    if len(items) == 1:
        (item,), name = items.values(), _argument(model)
        spec = TensorSpec(name, (None, *item.shape[1:]), _dtype(item))
        return Inputs((spec,), lambda t: t[name])
    specs = tuple(
        TensorSpec(name, (None, *item.shape[1:]), _dtype(item)) for name, item in items.items()
    )
    return Inputs(specs, dict)


def _argument(model: Any) -> str:
    """Return the name of the first argument of the model's call."""
    names = list(inspect.signature(model.call).parameters)
    return _clean(names[0]) if names and names[0] not in ("args", "kwargs") else "inputs"


def _dtype(item: TensorSpec | None) -> str:
    return "int32" if item is not None and item.dtype in ("int32", "int64") else "float32"


def _clean(name: Any) -> str:
    return re.sub(r"\W", "_", str(name))


def known_shape(shape: Any, name: str) -> tuple[int | None, ...]:
    """Return a shape of known rank. Raises :class:`ModelError` if its rank is unknown."""
    try:
        return tuple(shape)
    except (TypeError, ValueError) as error:
        hint = "give the Input a shape with at least its number of dimensions"
        raise ModelError("EK-MODEL-010", f"input {name!r} has no known rank", hint) from error
