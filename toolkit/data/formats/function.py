"""A function of the user that returns items or yields them, streamed while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.blocks import Writer
from edgekit.data.dataset import LABELS, Dataset, describe
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.types import Json
from edgekit.usercode import fingerprint, resolve, user_errors

INPUT = "x"
SHAPES = "(x, y) or (x, y, columns)"


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Read the arrays that the function returns, called in the worker without arguments.

    It returns ``(x, y)`` or ``(x, y, columns)``, arrays with items first, a ``tf.data.Dataset`` or
    a generator of such tuples. ``x`` is an array or a dict of arrays by input name, ``y`` may be
    None or a dict of labels by the outputs' names, ``columns`` is a dict of arrays by name. The
    function is called again where its file, or a local file that it imports, has changed. Raises
    :class:`DataError`, or ProjectError with what the function raised.
    """
    key: dict[str, Json] = {
        "source": reading.source,
        "files": dict(fingerprint(reading.source, reading.root)),
    }
    return reading.obtain(
        key,
        lambda folder: reading.worker.call(materialize, reading.source, reading.root, folder),
    )


def materialize(source: str, root: Path, folder: Path) -> Mapping[str, Json]:
    """Call the user's function and write what it gives to ``folder`` (in the worker)."""
    function = resolve(source, root)
    writer = Writer(folder, source)
    beside: dict[str, None] = {}
    with user_errors(source):
        returned = function()
        if isinstance(returned, tuple):
            items, columns = _named(source, returned)
            writer.extend(items)
            beside.update(dict.fromkeys(columns))
        else:
            for element in _elements(source, returned):
                items, columns = _named(source, element)
                _append(writer, items)
                beside.update(dict.fromkeys(columns))
    facts = dict(describe(source, writer.close()))
    return {**facts, "beside": list(beside)}


def _elements(source: str, returned: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the elements of a ``tf.data.Dataset`` or a generator. Raises :class:`DataError`."""
    elements: Iterable[Any]
    if hasattr(returned, "element_spec"):
        # tf.data.INFINITE_CARDINALITY
        if int(returned.cardinality()) == -1:
            raise DataError("EK-DATA-006", f"{source} never ends", "leave out .repeat()")
        elements = returned.as_numpy_iterator()
    elif isinstance(returned, Iterator):
        elements = returned
    else:
        hint = f"return {SHAPES}, or a tf.data.Dataset or generator of such tuples"
        raise DataError("EK-DATA-006", f"{source} returned {type(returned).__name__}", hint)
    for element in elements:
        yield element if isinstance(element, tuple) else (element, None)


def _named(source: str, element: tuple[Any, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return arrays by name, and which of them are columns."""
    if len(element) not in (2, 3):
        message = f"{source} gave a tuple of {len(element)}"
        raise DataError("EK-DATA-006", message, f"give {SHAPES}")
    x, y, *more = element
    columns = more[0] if more else {}
    if not isinstance(columns, Mapping):
        message = f"{source}: the third of the tuple is {type(columns).__name__}"
        raise DataError("EK-DATA-006", message, "columns are a dict of arrays by name")
    arrays = dict(x) if isinstance(x, Mapping) else {INPUT: x}
    if isinstance(y, Mapping):
        return _by_output(source, arrays, y, columns)
    twice = sorted((arrays.keys() | {LABELS}) & columns.keys())
    if twice:
        message = f"{source}: {', '.join(twice)} is an input or the labels, and a column"
        raise DataError("EK-DATA-006", message, "give the column another name")
    labels = {} if y is None else {LABELS: y}
    values = {**arrays, **labels, **columns}
    return {name: _text(value) for name, value in values.items()}, tuple(columns)


def _by_output(
    source: str, arrays: dict[str, Any], labels: Mapping[str, Any], columns: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Put labels by output beside the inputs, as columns are."""
    named = [*arrays, *labels, *columns]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        message = f"{source}: {', '.join(twice)} is given twice: as input, labels or column"
        raise DataError("EK-DATA-006", message, "give one of the two another name")
    values = {**arrays, **labels, **columns}
    return {name: _text(value) for name, value in values.items()}, (*labels, *columns)


def _text(value: Any) -> Any:
    """Convert TensorFlow's strings, which numpy has as bytes, to text."""
    array = np.asarray(value)
    if array.dtype.kind == "S" or (array.dtype == object and _all_bytes(array)):
        return np.array([item.decode("utf-8", "replace") for item in array.ravel()]).reshape(
            array.shape
        )
    return array


def _all_bytes(array: Any) -> bool:
    return bool(array.size) and all(isinstance(item, bytes) for item in array.ravel())


def _append(writer: Writer, arrays: dict[str, Any]) -> None:
    """Append one item, or a batch: what has one first dimension throughout, labels too."""
    sizes = {np.shape(value)[:1] for value in arrays.values()}
    if len(sizes) == 1 and () not in sizes and (LABELS in arrays or len(arrays) > 1):
        writer.extend(arrays)
    else:
        writer.add(arrays)
