"""``<model>_settings.h``: where the model's tensors are, and how large its arena is."""

from __future__ import annotations

from edgekit.converters.micro.names import guard, identifier
from edgekit.targets.bundles.archive import Contents
from edgekit.targets.bundles.microcontroller import arena
from edgekit.targets.bundles.microcontroller.tensors import Place, Places
from edgekit.targets.bundles.processing.c99 import number, text
from edgekit.targets.devices.arena import Arena

HEADER = """\
// What edgekit knows of the model: its memory, and the places of its tensors.
#ifndef {guard}
#define {guard}

#include <cstddef>
#include <cstdint>

#include "{prefix}_spec.h"

namespace {prefix}_settings {{

constexpr char kTitle[] = {title};

{comment}
#ifdef {macro}
constexpr size_t kTensorArenaSize = {macro};
#else
constexpr size_t kTensorArenaSize = {size};
#endif
constexpr int kResourceVariables = {variables};

// An input or output, and its number in TFLM.
struct Input {{
  const ek_input* spec;
  size_t place;
}};
struct Output {{
  const ek_output* spec;
  size_t place;
}};
// A state: the input that takes it, the output that gives it, and where it is kept in between.
struct State {{
  Input to;
  Output from;
  size_t offset;
}};

constexpr int kInputCount = {input_count};
static const Input kInputs[] = {{{inputs}}};
constexpr int kOutputCount = {output_count};
static const Output kOutputs[] = {{{outputs}}};
constexpr int kStateCount = {state_count};
constexpr size_t kStateBytes = {state_bytes};
{states}

}}  // namespace {prefix}_settings

#endif  // {guard}
"""
NO_STATES = "static const State* const kStates = nullptr;"


def settings(contents: Contents, places: Places, sizes: Arena) -> str:
    """Return the header of a bundle's model."""
    prefix = identifier(contents.name)
    macro = f"{prefix.upper()}_ARENA_BYTES"
    states, state_bytes = _states(places)
    return HEADER.format(
        guard=guard(f"{prefix}_settings.h"),
        prefix=prefix,
        title=text(f"{contents.name} {contents.version} ({contents.precision})"),
        comment=arena.comment(sizes, macro),
        macro=macro,
        size=arena.size_of(sizes),
        variables=places.resource_variables,
        input_count=len(places.inputs),
        inputs=_listed(f"{prefix}_input", places.inputs),
        output_count=len(places.outputs),
        outputs=_listed(f"{prefix}_output", places.outputs),
        state_count=len(places.states),
        state_bytes=state_bytes,
        states=states,
    )


def _listed(name: str, places: tuple[Place, ...]) -> str:
    return ", ".join(f"{{&{name}_{at}, {place.number}}}" for at, place in enumerate(places))


def _states(places: Places) -> tuple[str, int]:
    """Return what describes the states, and how many bytes they take."""
    if not places.states:
        return NO_STATES, 0
    lines = ["static const float kOne = 1.0f, kZero = 0.0f;"]
    rows, offset = [], 0
    for at, (to, given) in enumerate(places.states):
        lines.append(
            f"static const ek_input kStateInput{at} = {{{_described(to)}, 1, 1, &kOne, &kZero,"
            " nullptr};"
        )
        lines.append(f"static const ek_output kStateOutput{at} = {{{_described(given)}, EK_NONE}};")
        rows.append(
            f"  {{{{&kStateInput{at}, {to.number}}}, {{&kStateOutput{at}, {given.number}}},"
            f" {offset}}},\n"
        )
        # The next one may hold values of four bytes.
        offset += -(-to.size * to.info.dtype.itemsize // 4) * 4
    lines.append(f"static const State kStates[] = {{\n{''.join(rows)}}};")
    return "\n".join(lines), offset


def _described(place: Place) -> str:
    info = place.info
    return (
        f"{text(place.name)}, {place.size}, EK_{place.tensor.dtype}, {number(info.scale)},"
        f" {info.zero}"
    )
