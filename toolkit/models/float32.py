"""Rebuild a model that computes in another float with float32. In the worker.

Source: Keras guide "Mixed precision": such a policy keeps variables in float32 and computes in half
precision, for which TFLite has no kernels. The same weights computed in float32 are the same model.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import ModelError
from edgekit.models.inputs import inputs_of
from edgekit.models.load import is_keras3

Array = npt.NDArray[Any]

FLOAT32 = "float32"
# Significant bits of a float, by the name of the dtype that a policy computes in.
BITS = {"float16": 11, "bfloat16": 8, "float64": 53}
POLICIES = frozenset({*BITS, "mixed_float16", "mixed_bfloat16"})
POLICY_CLASSES = ("DTypePolicy", "Policy", "PolicyV1")
# Distributions of random items, the number of each, and the most real ones.
SPREADS = ("normal", "uniform", "wide")
BATCH, REAL = 8, 64
# The size that stands for a free one.
SIZE = 32
# The share of predicted classes that half precision may change, where two are nearly tied.
TIED = 0.25


@dataclass(frozen=True)
class Equality:
    """How far outputs are apart, as a share of their own size (root of the mean square).

    ``real`` is over ``items`` real items, None without any.
    """

    random: float
    real: float | None
    tolerance: float
    items: int


def other_floats(model: Any) -> tuple[str, ...]:
    """Return the other float policies or dtypes of a model's layers, by name."""
    policies = {name for layer in model._flatten_layers() if (name := _policy(layer)) in POLICIES}
    with contextlib.suppress(NotImplementedError, ValueError, TypeError):
        policies |= set(_named(model.get_config()))
    # A mixed policy names its tensors' dtype, too.
    return tuple(
        sorted(policies - {name.removeprefix("mixed_") for name in policies if "_" in name})
    )


def in_float32(model: Any) -> Any:
    """Rebuild a model with float32 layers and its own weights; itself if it has them already.

    Raises :class:`ModelError`: EK-MODEL-040 where it cannot be rebuilt from its configuration, or a
    layer makes others of a half precision of its own.
    """
    policies = other_floats(model)
    if not policies:
        return model
    inputs = inputs_of(model)
    try:
        with _float32_policy(model):
            twin = rebuilt(model, _in_float32(model.get_config()))
            if len(twin.weights) != len(model.weights):
                sizes = {s.name: [1, *(size or SIZE for size in s.shape[1:])] for s in inputs.specs}
                twin(inputs.pack({name: np.zeros(size, FLOAT32) for name, size in sizes.items()}))
            twin.set_weights([_widened(value) for value in model.get_weights()])
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise _refusal(model, policies, f"its own code raises: {reason}") from error
    left = other_floats(twin)
    if left:
        raise _refusal(twin, left, "rebuilt with float32, these layers still set their own")
    return twin


def rebuilt(model: Any, config: Any) -> Any:
    """Build a model of the same classes from a configuration, with fresh weights."""
    if is_keras3(model):
        import keras

        scope = keras.saving.custom_object_scope
    else:
        import tf_keras

        scope = tf_keras.utils.custom_object_scope
    classes = {type(layer).__name__: type(layer) for layer in model._flatten_layers()}
    own = {
        name: kind
        for name, kind in classes.items()
        if not kind.__module__.startswith(("keras.", "tf_keras."))
    }
    with scope(own):
        return type(model).from_config(config)


def prove(
    original: Path, rewritten: Path, policies: Sequence[str], samples: Mapping[str, Path]
) -> Equality:
    """Compare two SavedModels, of a model and of its float32 twin, on random and real items.

    ``samples`` are ``.npy`` files of preprocessed items by input name. Half precision rounds every
    layer's output, so that errors add up like a random walk: four times the root of the number of
    operations, in units of the last place, is allowed, and no more than 32. Of integers, such as
    the predicted class, a share may differ. Raises :class:`ModelError`, EK-MODEL-041, where the
    outputs are further apart.
    """
    import tensorflow as tf

    loaded = [tf.saved_model.load(str(path)) for path in (original, rewritten)]
    first, second = (one.signatures["serving_default"] for one in loaded)
    specs = first.structured_input_signature[1]
    steps = sum(op.type not in ("Const", "Identity", "NoOp", "Cast") for op in _operations(second))
    tolerance = _tolerance(policies, steps)
    half = bool(policies)
    random = max(
        _largest_difference(first, second, _random(specs, spread), tolerance, half)
        for spread in SPREADS
    )
    real = {name: np.load(path, mmap_mode="r")[:REAL] for name, path in samples.items()}
    count = min((len(array) for array in real.values()), default=0)
    if count == 0 or set(real) != set(specs):
        return Equality(random, None, tolerance, 0)
    few = {name: array[:count] for name, array in real.items()}
    real_difference = _largest_difference(first, second, few, tolerance, half)
    return Equality(random, real_difference, tolerance, count)


def _tolerance(policies: Sequence[str], steps: int) -> float:
    # float32 has 24 bits, whatever the other has.
    bits = min([24, *(BITS[policy.removeprefix("mixed_")] for policy in policies)])
    return float(min(4 * math.sqrt(max(steps, 1)), 32) * 2.0 ** -(bits - 1))


def _operations(signature: Any) -> Iterator[Any]:
    yield from signature.graph.get_operations()
    for function in signature.graph._functions.values():
        if hasattr(function, "graph"):
            yield from function.graph.get_operations()


def _random(specs: Mapping[str, Any], spread: str) -> dict[str, Array]:
    rng = np.random.default_rng(SPREADS.index(spread))
    items: dict[str, Array] = {}
    for name, spec in specs.items():
        shape = (BATCH, *(size or SIZE for size in spec.shape[1:]))
        if not spec.dtype.is_floating:
            # Any table of an embedding has two rows.
            items[name] = rng.integers(0, 2, shape)
            continue
        values = rng.uniform(size=shape) if spread == "uniform" else rng.normal(size=shape)
        items[name] = values * (4 if spread == "wide" else 1)
    return items


def _largest_difference(
    first: Any, second: Any, items: Mapping[str, Array], tolerance: float, is_half: bool
) -> float:
    import tensorflow as tf

    specs = first.structured_input_signature[1]
    answers: list[dict[str, list[Array]]] = [{}, {}]
    for at in range(len(next(iter(items.values())))):
        feed = {n: tf.cast(tf.constant(a[at : at + 1]), specs[n].dtype) for n, a in items.items()}
        for kept, signature in zip(answers, (first, second), strict=True):
            for name, value in signature(**feed).items():
                kept.setdefault(name, []).append(np.atleast_1d(value))
    worst = 0.0
    for name, values in answers[0].items():
        expected, actual = np.concatenate(values), np.concatenate(answers[1][name])
        if expected.dtype.kind in "iub":
            difference, allowed = float(np.mean(expected != actual)), TIED if is_half else tolerance
        else:
            difference, allowed = _difference(expected, actual), tolerance
        if not difference <= allowed:
            hint = (
                f"output {name!r} differs by {difference:.2g} of its size, and rounding explains"
                f" {allowed:.2g}: build the model under the float32 policy, load its weights, and"
                " give that file"
            )
            message = "rebuilt with float32, the model is not the same"
            raise ModelError("EK-MODEL-041", message, hint)
        worst = max(worst, difference)
    return worst


def _difference(expected: Array, actual: Array) -> float:
    """Return the relative RMS difference; NaN must meet NaN."""
    expected, actual = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(expected)
    if not finite.any() or not np.isfinite(actual[finite]).all():
        return math.inf
    size = float(np.sqrt(np.mean(expected[finite] ** 2)))
    return float(np.sqrt(np.mean((expected - actual)[finite] ** 2))) / max(size, 1e-6)


def _policy(layer: Any) -> str:
    policy = getattr(layer, "dtype_policy", None)
    name = getattr(policy, "name", None) or getattr(layer, "dtype", None)
    return str(getattr(name, "name", name))


def _named(config: Any) -> Iterator[str]:
    """Yield the names of other floats in a configuration, wherever a dtype stands."""
    if isinstance(config, Mapping):
        if config.get("class_name") in POLICY_CLASSES:
            name = config.get("config", {}).get("name")
            if name in POLICIES:
                yield name
        for key, value in config.items():
            if key == "dtype" and isinstance(value, str) and value in POLICIES:
                yield value
            yield from _named(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _named(value)
    elif _is_dtype(config):
        yield config.name


def _in_float32(config: Any) -> Any:
    """Replace every other float in a configuration with float32."""
    if isinstance(config, Mapping):
        if config.get("class_name") in POLICY_CLASSES:
            named = config.get("config", {}).get("name") in POLICIES
            return {**config, "config": {"name": FLOAT32}} if named else config
        return {
            key: FLOAT32
            if key == "dtype" and isinstance(value, str) and value in POLICIES
            else _in_float32(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_in_float32(value) for value in config)
    if _is_dtype(config):
        import tensorflow as tf

        return tf.float32
    return config


def _is_dtype(value: Any) -> bool:
    """Tell whether a value is one of TensorFlow's dtypes, another float than float32."""
    return type(value).__name__ == "DType" and getattr(value, "name", "") in POLICIES


def _widened(value: Any) -> Any:
    kind = str(value.dtype)
    return np.asarray(value, FLOAT32) if kind in POLICIES else value


@contextlib.contextmanager
def _float32_policy(model: Any) -> Iterator[None]:
    """Set float32 for layers that the model's own layers make, whatever the user's module set."""
    if is_keras3(model):
        import keras

        before, setting = keras.config.dtype_policy(), keras.config.set_dtype_policy
    else:
        import tf_keras

        policies = tf_keras.mixed_precision
        before, setting = policies.global_policy(), policies.set_global_policy
    setting(FLOAT32)
    try:
        yield
    finally:
        setting(before)


def _refusal(model: Any, policies: Sequence[str], why: str) -> ModelError:
    names = [layer.name for layer in model._flatten_layers() if _policy(layer) in POLICIES][:5]
    message = (
        f"the model computes in {', '.join(policies)} ({', '.join(names) or model.name}), which"
        " TFLite has no kernels for, and it cannot be rebuilt with float32"
    )
    hint = (
        f"{why}\nbuild the model under the float32 policy, load its weights, and give that file:"
        " the variables of a mixed policy are float32 already"
    )
    return ModelError("EK-MODEL-040", message, hint)
