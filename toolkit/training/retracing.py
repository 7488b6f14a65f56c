"""Notices functions that TensorFlow traces again and again, and says what changed.

Runs in the worker. Tracing takes as long as hundreds of steps; a ``tf.function`` is traced anew for
every shape, dtype and Python value that it is called with.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.models.load import library
from edgekit.training.watch.alarms import Alarms
from edgekit.types import Advice

CODE = "EK-NOTE-208"
# Fewer new functions of the same code may be of several layers.
NEW_FUNCTIONS = 3
# So many traces are no longer the one of a last, smaller batch.
MANY = 4
# Keras calls them otherwise in training than in validation.
EXPECTED = {"training"}
# Whose functions are not the user's.
OTHERS = ("/tensorflow/", "/keras/", "/tf_keras/", "/edgekit/")
# Who traces for a reason of its own: what is watched, and Keras where it asks for shapes.
ASIDE = ("/edgekit/training/watch/",)
SHAPES = "compute_output_spec"


@dataclass
class Traced:
    """A function of the user's: what it was traced for, and how often since the first step."""

    name: str
    types: list[Mapping[str, str]] = field(default_factory=list)
    objects: set[int] = field(default_factory=set)
    changes: dict[str, str] = field(default_factory=dict)
    again: int = 0
    created: int = 0

    @property
    def words(self) -> str:
        """Say how often it was traced, and what changed."""
        if self.created >= NEW_FUNCTIONS:
            return (
                f"{self.name}: a new tf.function was made of it {self.created} times while it"
                " trained, and each was traced"
            )
        times = "once" if self.again == 1 else f"{self.again} times"
        changed = "; ".join(self.changes.values())
        return f"{self.name} was traced {times} more after the first step: {changed}"

    @property
    def advice(self) -> Advice:
        """What to do about it."""
        values = any("Python value" in change for change in self.changes.values())
        shapes = any("shape" in change for change in self.changes.values())
        if self.created >= NEW_FUNCTIONS:
            fix = "make the tf.function once, outside of what is called for each batch"
        elif values:
            fix = "pass a tensor in place of the Python value: tf.constant(...), or a tf.Variable"
        elif shapes:
            fix = (
                "leave the size free: @tf.function(reduce_retracing=True), or an input_signature"
                " with None in the shape; or have batches of one size"
            )
        else:
            fix = "call it with the same dtypes and the same structure each time"
        many = self.again >= MANY or self.created >= NEW_FUNCTIONS
        return Advice(CODE, "warning" if many else "info", self.words, fix)


class Retracing:
    """Counts the traces of the user's functions while a model trains, from its second step on."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._traced: dict[Any, Traced] = {}
        self._lock = threading.RLock()
        self.started = False

    def saw(self, function: Any, where: Any, kinds: Mapping[str, str]) -> None:
        """Note that a function is traced: ``where`` is the ``tf.function``, ``kinds`` are its
        arguments.
        """
        code = getattr(function, "__code__", None)
        if code is None or any(part in code.co_filename for part in OTHERS) or _aside():
            return
        with self._lock:
            name = (
                f"{function.__name__} ({Path(code.co_filename).name}, line {code.co_firstlineno})"
            )
            traced = self._traced.setdefault(code, Traced(name))
            if id(where) not in traced.objects:
                traced.objects.add(id(where))
                # Its number is not to become another's.
                self._traced[id(where)] = where
                traced.created += bool(self.started and len(traced.objects) > 1)
                traced.types.append(kinds)
                if traced.created >= NEW_FUNCTIONS:
                    self._tell(code, traced)
                return
            changes = _changes(traced.types[-1], kinds)
            if kinds in traced.types or not self.started or not set(changes) - EXPECTED:
                traced.types.append(kinds)
                return
            traced.types.append(kinds)
            traced.again += 1
            traced.changes |= changes
            self._tell(code, traced)

    def _tell(self, code: Any, one: Traced) -> None:
        self._alarms.add(f"{code.co_filename}:{code.co_firstlineno}", one.advice, again=True)

    def callback(self, model: Any) -> Any:
        """Build a callback that says when the first step is over."""
        retracing = self

        class FirstStep(library(model).callbacks.Callback):  # type: ignore[misc]
            """Says when the first step is over: it traces all that is new."""

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                retracing.started = True

        return FirstStep()


@contextmanager
def noticed(alarms: Alarms) -> Iterator[Retracing]:
    """Notice what is traced meanwhile."""
    from tensorflow.python.eager.polymorphic_function import tracing_compilation
    from tensorflow.python.framework import ops
    from tensorflow.python.util import tf_decorator

    retracing, create = Retracing(alarms), tracing_compilation._create_concrete_function

    def creating(function_type: Any, context: Any, graph: Any, options: Any) -> Any:
        # What is traced within another function costs no step anything, once that one is traced.
        if not ops.inside_function():
            _, function = tf_decorator.unwrap(options.python_function)
            kinds = {
                name: _kind(parameter.type_constraint)
                for name, parameter in function_type.parameters.items()
                if parameter.type_constraint is not None
            }
            retracing.saw(function, options.lock, kinds)
        return create(function_type, context, graph, options)

    tracing_compilation._create_concrete_function = creating
    try:
        yield retracing
    finally:
        tracing_compilation._create_concrete_function = create


def _aside() -> bool:
    frame: Any = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_name == SHAPES or any(part in code.co_filename for part in ASIDE):
            return True
        frame = frame.f_back
    return False


def _kind(constraint: Any) -> str:
    """Describe what an argument is to TensorFlow, in a line."""
    import tensorflow as tf

    if isinstance(constraint, tf.TensorSpec):
        return f"{constraint.dtype.name} {_shape(constraint.shape)}"
    components = getattr(constraint, "components", None)
    if components is not None:
        return f"({', '.join(_kind(one) for one in components)})"
    mapping = getattr(constraint, "mapping", None)
    if mapping is not None:
        return "{" + ", ".join(f"{name}: {_kind(one)}" for name, one in mapping.items()) + "}"
    # Of a PerReplica value: what each replica has goes by no public name (TensorFlow 2.21).
    replicas = getattr(constraint, "_value_specs", None)
    if replicas:
        return f"{' and '.join(dict.fromkeys(map(_kind, replicas)))} in a replica"
    if hasattr(constraint, "value"):
        return f"{PYTHON}{constraint.value!r}"[:80]
    return str(constraint)[:80]


PYTHON = "Python value "


def _shape(shape: Any) -> str:
    if shape.rank is None:
        return "of any shape"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Say of each argument that changed what it was and is."""
    changes = {}
    for name in {**before, **now}:
        old, new = before.get(name, "absent"), now.get(name, "absent")
        if old == new:
            continue
        if PYTHON in old and PYTHON in new:
            was, became = (text.replace(PYTHON, "") for text in (old, new))
            changes[name] = f"{name} is a Python value, and changed from {was} to {became}"
        elif old.split("[")[0] == new.split("[")[0]:
            changes[name] = f"the shape of {name} changed from {old} to {new}"
        elif "[" in old and "[" in new and old.partition("[")[2] == new.partition("[")[2]:
            changes[name] = f"the dtype of {name} changed from {old} to {new}"
        else:
            changes[name] = f"{name} changed from {old} to {new}"
    return changes
