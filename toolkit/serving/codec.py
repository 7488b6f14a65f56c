"""Bodies of requests and answers, as TensorFlow Serving's REST API has them.

Source: "RESTful API", TensorFlow Serving: ``instances`` and ``predictions`` are items in rows,
``inputs`` and ``outputs`` are tensors by name, and the name is left out where there is only one.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.errors import did_you_mean
from edgekit.serving.limits import Refused
from edgekit.serving.runner import Tensor
from edgekit.serving.source import Arrays, Golden, Servable

# What the model takes, and raw items, which the bundle's preprocessing makes that of.
SIGNATURE, RAW = "serving_default", "raw"
SHOWN = 100
SMALL = (np.dtype(np.uint8), np.dtype(np.int8))
# Up to here a float64 tells whole numbers apart.
EXACT = 2.0**53
NPY = b"\x93NUMPY"
T = TypeVar("T")
MISSING: Any = msgspec.UNSET
# numpy gives no types to it.
FORMAT: Any = np.lib.format


class Body(msgspec.Struct):
    """The fields of a request that are read; others are left alone, as TF Serving does."""

    signature_name: str = ""
    instances: Any = MISSING
    inputs: Any = MISSING
    examples: Any = MISSING
    key: str | int | None = None


class Judged(msgspec.Struct):
    """What becomes known of an answer later, by the request's id or its key."""

    id: str = ""
    key: str | int | None = None
    correct: Any = None
    value: Any = None


@dataclass(frozen=True)
class Asked:
    """Items by input; ``rows`` says how they came."""

    inputs: Arrays
    rows: bool
    raw: bool

    @property
    def items(self) -> int:
        """How many there are."""
        return len(next(iter(self.inputs.values())))


_DECODER = msgspec.json.Decoder(Body)
_JUDGED = msgspec.json.Decoder(Judged)
_ENCODER = msgspec.json.Encoder()


def parse(body: bytes) -> Body:
    """Return the fields of a request. Raises :class:`Refused` (400) where it is no such JSON."""
    return _decoded(_DECODER, body)


def parse_judged(body: bytes) -> Judged:
    """Return the fields of a feedback. Raises :class:`Refused` (400)."""
    return _decoded(_JUDGED, body)


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    if not body:
        raise Refused(400, "the body is empty: it is a JSON object")
    try:
        return decoder.decode(body)
    except RecursionError as error:
        raise Refused(400, "the body is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body is not a request in JSON: {str(error)[:300]}") from error


def dumps(answer: Any) -> bytes:
    """Return an answer as JSON."""
    return _ENCODER.encode(answer)


def taken(signature: str, model: Servable, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what a signature takes, by name. Raises :class:`Refused` where there is none."""
    if signature in ("", SIGNATURE):
        return dict(inputs)
    known = [SIGNATURE] + [RAW] * (model.golden is not None)
    if signature not in known:
        message = f"there is no signature {signature[:SHOWN]!r}{did_you_mean(signature, known)}"
        raise Refused(400, f"{message}; there is {', '.join(known)}")
    return raw_inputs(model.golden) if model.golden else {}


def raw_inputs(golden: Golden) -> dict[str, Tensor]:
    """Return what raw items are: as the golden ones."""
    return {n: Tensor((None, *v.shape[1:]), v.dtype.name) for n, v in golden.inputs.items()}


def read_predict(body: Body, tensors: Mapping[str, Tensor]) -> Asked:
    """Return the items of a request to predict. Raises :class:`Refused` (400)."""
    if (body.instances is MISSING) == (body.inputs is MISSING):
        what = "neither" if body.instances is MISSING else "both"
        raise Refused(400, f"the body has {what} of 'instances' (rows) and 'inputs' (columns)")
    rows = body.inputs is MISSING
    named = _rows(body.instances, tensors) if rows else _columns(body.inputs, tensors)
    arrays = {name: _array(name, named[name], one) for name, one in tensors.items()}
    return Asked(_alike(arrays), rows, body.signature_name == RAW)


def read_classify(body: Body, tensors: Mapping[str, Tensor]) -> Asked:
    """Return the items of a request to classify: examples of raw features by input."""
    if not isinstance(body.examples, list):
        raise Refused(400, "the body has no 'examples', a list of items")
    named = _rows(body.examples, tensors)
    arrays = {name: _array(name, named[name], one) for name, one in tensors.items()}
    return Asked(_alike(arrays), True, True)


def _rows(items: Any, tensors: Mapping[str, Tensor]) -> dict[str, list[Any]]:
    if not isinstance(items, list) or not items:
        raise Refused(400, "'instances' is a list of at least one item")
    if len(tensors) == 1 and not all(isinstance(i, dict) and not is_binary(i) for i in items):
        return {next(iter(tensors)): items}
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise Refused(400, f"item {at} is not an object with the inputs {_names(tensors)}")
        _check_names(item, tensors, f"item {at}")
    return {name: [item[name] for item in items] for name in tensors}


def _columns(given: Any, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    if not isinstance(given, dict) or is_binary(given):
        if len(tensors) > 1:
            raise Refused(400, f"'inputs' is not an object with {_names(tensors)}")
        return {next(iter(tensors)): given}
    _check_names(given, tensors, "'inputs'")
    return given


def _check_names(given: Mapping[str, Any], tensors: Mapping[str, Tensor], where: str) -> None:
    for name in given:
        if name not in tensors:
            close = did_you_mean(name, tensors)
            known = _names(tensors)
            raise Refused(400, f"{where} has no input {name[:SHOWN]!r}{close}; there is {known}")
    missing = [name for name in tensors if name not in given]
    if missing:
        raise Refused(400, f"{where} lacks the input {missing[0]!r}")


def _names(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(map(repr, tensors))


def is_binary(value: Any) -> bool:
    """Tell whether a value stands for bytes: ``{"b64": "…"}`` and nothing else."""
    return isinstance(value, dict) and value.keys() == {"b64"}


def _array(name: str, value: Any, tensor: Tensor) -> npt.NDArray[Any]:
    """Return a value as an input takes it, items first. Raises :class:`Refused` (400)."""
    if isinstance(value, np.ndarray) or is_binary(value):
        array = _binary(name, value)
    elif isinstance(value, list) and any(isinstance(i, np.ndarray) or is_binary(i) for i in value):
        parts = [_binary(name, one) for one in value]
        if len({part.shape for part in parts}) > 1:
            raise Refused(400, f"input {name!r}: the items are of different shapes")
        array = np.stack(parts)
    else:
        array = _nested(name, value)
    sizes = array.shape[1:]
    fits = array.ndim == len(tensor.shape) and all(
        wanted in (None, given) for given, wanted in zip(sizes, tensor.item, strict=True)
    )
    if not fits or not array.size:
        raise Refused(400, _misfit(name, array, tensor))
    return _typed(name, array, tensor.dtype)


def _nested(name: str, value: Any) -> npt.NDArray[Any]:
    try:
        return np.array(value)
    except ValueError as error:
        raise Refused(400, f"input {name!r}: its lists are not of one length") from error


def _misfit(name: str, array: npt.NDArray[Any], tensor: Tensor) -> str:
    wanted = ["?" if size is None else size for size in tensor.item]
    text = f"input {name!r} takes a list of items shaped {_sizes(wanted)}"
    if list(array.shape) == [size for size in tensor.item if size is not None]:
        return f"{text}; this is one item: put it into brackets of its own"
    if not array.ndim or not array.size:
        return f"{text}; given are none"
    return f"{text}; given are {array.shape[0]} shaped {_sizes(array.shape[1:])}"


def _sizes(sizes: Sequence[Any]) -> str:
    return f"[{', '.join(map(str, sizes))}]"


def _typed(name: str, array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    kind = np.dtype(dtype).kind
    if kind in "iu" and array.dtype.kind == "f" and _whole(array):
        array = array.astype(np.int64)
    allowed = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}.get(kind, "")
    if array.dtype.kind not in allowed:
        given = {
            "U": "text",
            "b": "true and false",
            "f": "fractions or huge numbers",
            "O": "no numbers",
        }
        told = given.get(array.dtype.kind, array.dtype.name)
        raise Refused(400, f"input {name!r} takes {dtype}, given are {told}")
    if kind in "iu":
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            message = f"input {name!r} takes {dtype}, {limits.min} to {limits.max}"
            raise Refused(400, f"{message}; given are {array.min()} to {array.max()}")
    if kind == "f" and array.dtype in SMALL:
        # As it is: what it stands for is the same, and it is a quarter of the bytes.
        return array
    with np.errstate(over="ignore"):
        typed = array.astype(dtype, copy=False)
    if kind == "f" and not np.isfinite(typed).all():
        raise Refused(400, f"input {name!r} has a number that is not finite in {dtype}")
    return typed


def _whole(array: npt.NDArray[Any]) -> bool:
    """Tell whether floats are whole numbers: JSON has one kind of number, so 5.0 is 5 there."""
    return bool(((np.trunc(array) == array) & (np.abs(array) <= EXACT)).all())


def _binary(name: str, value: Any) -> npt.NDArray[Any]:
    """Return the array of an ``.npy`` file in base64, or that of a picture, decoded before."""
    if isinstance(value, np.ndarray):
        return value
    try:
        content = base64.b64decode(value["b64"], validate=True) if is_binary(value) else b""
    except (TypeError, ValueError, binascii.Error) as error:
        raise Refused(400, f"input {name!r}: its b64 is not base64") from error
    if not content.startswith(NPY):
        message = f"input {name!r}: its b64 is not a .npy file, a JPEG or a PNG"
        raise Refused(400, message)
    return _npy(name, content)


def _npy(name: str, content: bytes) -> npt.NDArray[Any]:
    """Read an ``.npy`` file of another hand: its header is held against its size first."""
    file, form = io.BytesIO(content), FORMAT
    try:
        read = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
        shape, fortran, dtype = read[form.read_magic(file)](file)
        count = 1
        for size in shape:
            count *= size
        rest = content[file.tell() :]
        if dtype.kind not in "biuf" or count * dtype.itemsize != len(rest):
            raise ValueError("its header does not tell what follows it")
        flat = np.frombuffer(rest, dtype)
        return flat.reshape(shape, order="F" if fortran else "C")
    except Exception as error:
        raise Refused(400, f"input {name!r}: its .npy file is damaged: {error}"[:300]) from error


def _alike(arrays: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    counts = {name: len(value) for name, value in arrays.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name!r} {count}" for name, count in counts.items())
        raise Refused(400, f"the inputs are of different numbers of items: {told}")
    return arrays


def predicted(asked: Asked, outputs: Arrays) -> dict[str, Any]:
    """Return the answer to a request to predict. Raises :class:`Refused` (500) for NaN."""
    check_finite(outputs)
    lists = {name: value.tolist() for name, value in outputs.items()}
    if len(lists) == 1:
        (only,) = lists.values()
        return {"predictions" if asked.rows else "outputs": only}
    if not asked.rows:
        return {"outputs": lists}
    columns = zip(*lists.values(), strict=True)
    return {"predictions": [dict(zip(lists, row, strict=True)) for row in columns]}


def classified(model: Servable, outputs: Arrays) -> dict[str, Any]:
    """Return the classes of each item with their scores, in the model's order."""
    check_finite(outputs)
    name = model.scores or next(iter(outputs))
    rows = outputs[name].reshape(len(outputs[name]), -1).tolist()
    names = [*model.classes, *map(str, range(len(model.classes), len(rows[0])))]
    return {"results": [[list(pair) for pair in zip(names, row, strict=False)] for row in rows]}


def check_finite(outputs: Arrays) -> None:
    """Raise :class:`Refused` (500) where an output is not a number: JSON has no NaN."""
    for name, value in outputs.items():
        if not np.isfinite(value).all():
            raise Refused(
                500, f"the model gives NaN or an infinity for these items: output {name!r}"
            )
