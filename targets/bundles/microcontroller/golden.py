"""Golden items as C++ arrays: raw inputs, what the model was fed of them, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.converters.micro.names import guard, identifier
from edgekit.targets.bundles.archive import Contents
from edgekit.targets.bundles.microcontroller.tensors import Place, Places
from edgekit.targets.bundles.processing.c99 import number
from edgekit.targets.runners.python_runner import encode

# Bytes of flash that the golden items may take; one of them is always there.
MOST_BYTES = 64 << 10
PER_LINE = 16

HEADER = """\
// Golden items, and what the host had at every step: flash that only the self-test takes.
#ifndef {guard}
#define {guard}

#include <cstdint>

// Raw values of all items, one after the other, as bytes or as floats, and the bytes that the model
// took of them.
struct GoldenInput {{
  const uint8_t* bytes;
  const float* floats;
  const uint8_t* prepared;
}};
// What the model answered, by how much other runtimes may differ, and which class scored best.
struct GoldenOutput {{
  const float* values;
  float tolerance;
  const int32_t* answers;
}};

constexpr int {prefix}_golden_items = {items};
// Values of the largest output.
constexpr int {prefix}_golden_largest = {largest};
extern const GoldenInput {prefix}_golden_inputs[];
extern const GoldenOutput {prefix}_golden_outputs[];
// Whether the model begins anew with an item.
extern const uint8_t {prefix}_golden_begins[];

#endif  // {guard}
"""
SOURCE = """\
#include "{prefix}_golden.h"

namespace {{

{arrays}
}}  // namespace

const GoldenInput {prefix}_golden_inputs[] = {{{inputs}}};
const GoldenOutput {prefix}_golden_outputs[] = {{{outputs}}};
const uint8_t {prefix}_golden_begins[] = {{{begins}}};
"""
Array = npt.NDArray[Any]


def golden(contents: Contents, places: Places) -> tuple[str, str]:
    """Return header and source of the golden items: as many of them as flash should hold."""
    prefix = identifier(contents.name)
    prepared = [_prepared(contents, place) for place in places.inputs]
    count = _affordable(contents, prepared)
    arrays: list[str] = []
    inputs = ", ".join(_inputs(contents, places, prepared, count, arrays))
    outputs = ", ".join(_outputs(contents, places, count, arrays))
    begins = contents.golden.streams or range(count)
    header = HEADER.format(
        guard=guard(f"{prefix}_golden.h"),
        prefix=prefix,
        items=count,
        largest=max(contents.golden.outputs[one.name][0].size for one in places.outputs),
    )
    source = SOURCE.format(
        prefix=prefix,
        arrays="".join(arrays),
        inputs=inputs,
        outputs=outputs,
        begins=", ".join(str(int(item in begins)) for item in range(count)),
    )
    return header, source


def count_of(contents: Contents, places: Places) -> int:
    """Tell how many golden items the source has."""
    return _affordable(contents, [_prepared(contents, place) for place in places.inputs])


def _prepared(contents: Contents, place: Place) -> Array:
    raw = contents.golden.inputs[place.name]
    return np.asarray(encode(raw, place.info, contents.preprocess.arithmetic))


def _affordable(contents: Contents, prepared: list[Array]) -> int:
    raw = [_raw(values) for values in contents.golden.inputs.values()]
    of_items = [values.nbytes / len(values) for values in (*raw, *prepared)]
    of_items += [4 * values[0].size for values in contents.golden.outputs.values()]
    count = min(len(values) for values in raw)
    return max(1, min(count, int(MOST_BYTES / max(sum(of_items), 1.0))))


def _raw(values: Array) -> Array:
    """Return raw values as the C library takes them: bytes where they are bytes, else floats."""
    return values if values.dtype == np.uint8 else values.astype(np.float32)


def _inputs(
    contents: Contents, places: Places, prepared: list[Array], count: int, arrays: list[str]
) -> Iterator[str]:
    for at, (place, fed) in enumerate(zip(places.inputs, prepared, strict=True)):
        raw = _raw(contents.golden.inputs[place.name])[:count]
        arrays.append(_bytes(f"prepared_{at}", np.ascontiguousarray(fed[:count])))
        if raw.dtype == np.uint8:
            arrays.append(_bytes(f"raw_{at}", np.ascontiguousarray(raw)))
            yield f"{{raw_{at}, nullptr, prepared_{at}}}"
        else:
            arrays.append(_floats(f"raw_{at}", raw))
            yield f"{{nullptr, raw_{at}, prepared_{at}}}"


def _outputs(contents: Contents, places: Places, count: int, arrays: list[str]) -> Iterator[str]:
    answers = contents.golden.answers
    for at, place in enumerate(places.outputs):
        values = contents.golden.outputs[place.name][:count]
        arrays.append(_floats(f"expected_{at}", values))
        best = "nullptr"
        if answers is not None and answers.output == place.name:
            best = f"answers_{at}"
            classes = values.reshape(count, -1).argmax(axis=1)
            arrays.append(f"const int32_t {best}[] = {{{', '.join(map(str, classes))}}};\n")
        tolerance = number(contents.golden.tolerance[place.name])
        yield f"{{expected_{at}, {tolerance}, {best}}}"


def _bytes(name: str, values: Array) -> str:
    # Microcontrollers that TFLM runs on are little-endian, and so is what is written here.
    content = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return _array("uint8_t", name, [str(byte) for byte in content])


def _floats(name: str, values: Array) -> str:
    return _array("float", name, [number(value) for value in values.reshape(-1)])


def _array(kind: str, name: str, values: list[str]) -> str:
    rows = (values[at : at + PER_LINE] for at in range(0, len(values), PER_LINE))
    lines = "".join(f"    {', '.join(row)},\n" for row in rows)
    return f"const {kind} {name}[] = {{\n{lines}}};\n"
