"""JPEG and PNG in base64 as items: found in a request, and brought to what the model takes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgekit.data import images
from edgekit.data.pixels import largest
from edgekit.serving.codec import MISSING, RAW, Body, is_binary
from edgekit.serving.decoder import Decoder
from edgekit.serving.limits import Refused
from edgekit.serving.runner import Tensor
from edgekit.serving.source import Servable
from edgekit.types import Preprocess, TensorSpec

# How a JPEG and a PNG begin, and how many signs of base64 tell.
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
SIGNS = 12
# Of one request: a picture is decoded in milliseconds, and the next request waits for it.
MOST = 256
# Of all of them once they are decoded; few models take pictures of any size.
MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Slot:
    """Where in a request a picture stands: as ``place[key]``, for the input ``name``."""

    place: Any
    key: Any
    name: str
    alone: bool

    @property
    def content(self) -> bytes:
        """The file. Raises :class:`Refused` (400)."""
        try:
            return base64.b64decode(self.place[self.key]["b64"], validate=True)
        except (ValueError, binascii.Error) as error:
            raise Refused(400, f"input {self.name!r}: its b64 is not base64") from error


async def decode(
    body: Body, model: Servable, tensors: Mapping[str, Tensor], decoder: Decoder, until: float
) -> Body:
    """Return a request with its pictures as arrays, raw items then; one without any as it is.

    Raises :class:`Refused`: 400 where the model takes no pictures, or one of them is damaged or too
    large, and 504.
    """
    slots = list(_slots(body, tensors))
    if not slots:
        return body
    if len(slots) > MOST:
        raise Refused(400, f"there are {len(slots)} pictures in one request: send at most {MOST}")
    specs = {name: _spec(name, tensors[name], model) for name in {slot.name for slot in slots}}
    if model.golden is not None and body.signature_name != RAW:
        _check_raw(body, tensors, slots)
    held = 0
    for at, slot in enumerate(slots):
        called = f"input {slot.name!r}: picture {at}"
        array = await decoder.decode(slot.content, called, specs[slot.name], until)
        held += array.nbytes
        if held > MOST_BYTES:
            raise Refused(400, f"the pictures have more than {MOST_BYTES >> 20} MiB: send fewer")
        slot.place[slot.key] = array[None] if slot.alone else array
    raw = body.signature_name if model.golden is None or body.examples is not MISSING else RAW
    body.signature_name = raw
    return body


def _slots(body: Body, tensors: Mapping[str, Tensor]) -> Iterator[Slot]:
    """Yield where pictures stand: as an item, as an item's input, or as a column of one or more."""
    only = next(iter(tensors)) if len(tensors) == 1 else ""
    columns: Any = body.inputs
    for rows in (body.instances, body.examples):
        for at, item in enumerate(rows) if isinstance(rows, list) else ():
            if isinstance(item, dict):
                yield from _slots_of(rows, at, item, only, tensors, False)
    if only and (is_binary(columns) or isinstance(columns, list)):
        # Its place is the body itself.
        columns = {only: columns}
        body.inputs = columns
    if isinstance(columns, dict):
        for name, value in columns.items():
            if isinstance(value, list):
                for at, item in enumerate(value):
                    if is_binary(item):
                        yield from _slots_of(value, at, item, name, tensors, False)
            elif is_binary(value):
                yield from _slots_of(columns, name, value, name, tensors, True)


def _slots_of(
    place: Any, key: Any, value: Any, name: str, tensors: Mapping[str, Tensor], alone: bool
) -> Iterator[Slot]:
    if not is_binary(value):
        for inner, one in value.items():
            if is_binary(one):
                yield from _slots_of(value, inner, one, inner, tensors, alone)
    elif name in tensors and _is_picture(value["b64"]):
        yield Slot(place, key, name, alone)


def _is_picture(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        return base64.b64decode(text[:SIGNS]).startswith(STARTS)
    except ValueError:
        return False


def _spec(name: str, tensor: Tensor, model: Servable) -> Preprocess:
    """Return how a picture becomes what an input takes. Raises :class:`Refused` where it is not
    known.
    """
    takes = f"input {name!r} takes no pictures"
    shape = tensor.shape
    if len(shape) != 4 or not {shape[1], shape[3]} & set(images.CHANNELS):
        raise Refused(400, f"{takes}, but items shaped {list(shape[1:])}: send .npy")
    golden = model.golden.inputs.get(name) if model.golden is not None else None
    if model.preprocess.color is None and golden is None:
        if tensor.dtype != "uint8":
            why = "what is served is not a bundle, so how they are prepared is not known"
            raise Refused(
                400, f"{takes}: {why}; send prepared numbers as .npy, or serve the bundle"
            )
    elif model.preprocess.color is None and golden is not None:
        most = largest(golden)
        if most is not None or golden.dtype != "uint8":
            range_ = f"with values up to {most:g}" if most is not None else f"of {golden.dtype}"
            why = f"the model was measured on arrays {range_}, not on pictures of 0 to 255"
            raise Refused(400, f"{takes}: {why}; send .npy")
    spec = TensorSpec(name, tuple(shape), tensor.dtype)
    return images.resolved(replace(model.preprocess, layout=None), (spec,))


def _check_raw(body: Body, tensors: Mapping[str, Tensor], slots: list[Slot]) -> None:
    """Raise :class:`Refused` where something in the request is prepared, as pictures are not."""
    items: Any = body.instances if body.inputs is MISSING else next(iter(body.inputs.values()))
    count = len(items) if isinstance(items, list) else 1
    if body.examples is MISSING and len(slots) < count * len(tensors):
        message = "the request has pictures, which the server prepares, beside prepared numbers"
        raise Refused(400, f'{message}: send all as raw items, "signature_name": "{RAW}"')
