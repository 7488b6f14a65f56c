"""A training that runs line by line, and says of an error with which tensors its line failed.

Runs in the worker.
"""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from edgekit.errors import EdgekitError, ProjectError

CODE = "EK-TRAIN-007"
# How many tensors of the failing line's function are listed.
LISTED = 20
LONGEST = 600
# Where TensorFlow computed it, which says nothing.
NODE = re.compile(r"\{\{function_node [^}]*\}\} ?")


@contextmanager
def line_by_line(eager: bool) -> Iterator[None]:
    """Run every ``tf.function`` as plain Python meanwhile, where that is asked for.

    Raises :class:`ProjectError` for an error in the user's code: with its line, and the shapes and
    dtypes of what the function has there.
    """
    if not eager:
        yield
        return
    import keras
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    # What they leave out may be the user's own.
    tf.debugging.disable_traceback_filtering()
    keras.config.disable_traceback_filtering()
    try:
        yield
    except EdgekitError:
        raise
    except Exception as error:
        explained = _explained(error)
        if explained is None:
            raise
        raise explained from error
    finally:
        tf.config.run_functions_eagerly(False)


def _explained(error: Exception) -> ProjectError | None:
    """Return what failed where, and with what; None where no line is the user's."""
    ours = str(Path(__file__).resolve().parent.parent)
    last: tuple[FrameType, int] | None = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        others = ("site-packages" in name) or name.startswith((ours, "<")) or "/edgekit/" in name
        if not others:
            last = frame, line
    if last is None:
        return None
    frame, line = last
    code = frame.f_code
    where = f"{Path(code.co_filename).name}, line {line}, in {code.co_name}"
    source = linecache.getline(code.co_filename, line).strip()
    said = NODE.sub("", " ".join(str(error).split())).removesuffix(" name:")
    text = f"{type(error).__name__}: {said}"
    tensors = dict(_tensors(frame.f_locals))
    shown = [f"  {name}: {kind}" for name, kind in list(tensors.items())[:LISTED]]
    if len(tensors) > LISTED:
        shown.append(f"  and {len(tensors) - LISTED} more")
    lines = [source, text[:LONGEST], "with" if shown else "", *shown]
    return ProjectError(CODE, f"{where} failed", "\n".join(line for line in lines if line))


def _tensors(values: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the tensors and arrays among variables, also within tuples, lists and dicts."""
    for name, value in values.items():
        kind = _kind(value)
        if kind:
            yield name, kind
        elif depth < 2 and isinstance(value, (list, tuple)):
            yield from _tensors({f"{name}[{k}]": one for k, one in enumerate(value)}, depth + 1)
        elif depth < 2 and isinstance(value, dict):
            yield from _tensors({f"{name}[{k!r}]": one for k, one in value.items()}, depth + 1)


def _kind(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return ""
    try:
        sizes = ", ".join("?" if size is None else str(size) for size in shape)
    except (TypeError, ValueError):
        return ""
    return f"{getattr(dtype, 'name', None) or str(dtype)} [{sizes}]"
