"""Find the inputs that are states: outputs that are fed back to the model, as in DTLN."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from edgekit.errors import ProjectError
from edgekit.types import CarriedState, TensorSpec

Specs = tuple[TensorSpec, ...]
CODE = "EK-PROJECT-048"
# Names of states, in models of audio and of language.
STATES = frozenset(
    ("state states hidden cell memory mem cache carry context ctx buffer history h c").split()
)
# Words for a state's input and output, which do not name the state.
ROLES = frozenset(
    (
        "in input inputs out output outputs new next old prev previous last initial init cur "
        "current n serving default"
    ).split()
)
# As in Silero and in PyTorch's documentation.
SHORT = {"hn": "h", "cn": "c", "h0": "h", "c0": "c", "hx": "h", "cx": "c"}


def detected(inputs: Specs, outputs: Specs) -> tuple[CarriedState, ...]:
    """Detect the states by names and shapes, each with one output of its own.

    At least one input is not a state, for the items to go to.
    """
    found = tuple(_detected(inputs, outputs))
    return found if len(found) < len(inputs) else ()


def stated(inputs: Specs, outputs: Specs, pairs: Mapping[str, str]) -> tuple[CarriedState, ...]:
    """Check the states that the user names, by input. Raises :class:`ProjectError`,
    EK-PROJECT-048, if a pair differs in shape, or no input is left for the items.
    """
    ins, outs = ({spec.name: spec for spec in specs} for specs in (inputs, outputs))
    states = []
    for name, output in pairs.items():
        source, other = ins[name], outs[output]
        if not _alike(source, other):
            message = (
                f"input {name!r} is {_shown(source)}, output {output!r} {_shown(other)}: the output"
                " cannot be fed back to the input"
            )
            hint = (
                "a state has one shape and dtype as input and as output, and only its batch is free"
            )
            raise ProjectError(CODE, message, hint)
        states.append(CarriedState(source, other, "it is named so"))
    if len(states) == len(inputs) or len(set(pairs.values())) < len(pairs):
        message = (
            "every input is named as a state"
            if len(states) == len(inputs)
            else "one output is named as two states"
        )
        raise ProjectError(CODE, message, "--state IN=OUT names each pair once")
    return tuple(states)


def likely(spec: TensorSpec, outputs: Specs) -> str:
    """Find the only output that could be the state of an input, by shape; empty if none is."""
    alike = [other.name for other in outputs if _alike(spec, other)]
    return alike[0] if len(alike) == 1 else ""


def _detected(inputs: Specs, outputs: Specs) -> Iterator[CarriedState]:
    def called(specs: Specs, name: tuple[str, ...]) -> list[TensorSpec]:
        return [spec for spec in specs if _words(spec.name) == name]

    for spec in inputs:
        words = _words(spec.name)
        others = called(outputs, words)
        single = len(others) == 1 and len(called(inputs, words)) == 1
        if single and STATES & set(words) and _alike(spec, others[0]):
            yield CarriedState(
                spec, others[0], f"both are called {' '.join(words)!r} and {_shown(spec)}"
            )


def _words(name: str) -> tuple[str, ...]:
    """Split a name into words, without those for input and output."""
    name = re.sub(r":\d+$", "", name)
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = [SHORT.get(word, word) for word in re.split(r"[^a-z0-9]+", parts) if word]
    # "state1" and "state_1" are one name.
    split = [part for word in words for part in re.findall(r"[a-z]+|\d+", word)]
    return tuple(word for word in split if word not in ROLES)


def _alike(spec: TensorSpec, other: TensorSpec) -> bool:
    """Tell whether an output can be fed to an input, starting from zeros of a known size."""
    return bool(
        spec.shape
        and spec.dtype == other.dtype
        and (spec.shape[0] or 1) == (other.shape[0] or 1)
        and spec.shape[1:] == other.shape[1:]
        and None not in spec.shape[1:]
    )


def _shown(spec: TensorSpec) -> str:
    return f"{spec.dtype} [{', '.join('any' if s is None else str(s) for s in spec.shape)}]"
