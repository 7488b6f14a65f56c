"""Which inputs are states: what a model is given back of its own outputs, as DTLN's kind is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from edgekit.errors import ProjectError
from edgekit.types import CarriedState, TensorSpec

Specs = tuple[TensorSpec, ...]
CODE = "EK-PROJECT-048"
# What states are called, in models of audio and of language.
STATES = frozenset({
    "state", "states", "hidden", "cell", "memory", "mem", "cache", "carry", "context", "ctx",
    "buffer", "history", "h", "c",
})  # fmt: skip
# What is said of a state's way in and out, and not of the state.
ROLES = frozenset({
    "in", "input", "inputs", "out", "output", "outputs", "new", "next", "old", "prev", "previous",
    "last", "initial", "init", "cur", "current", "n", "serving", "default",
})  # fmt: skip
# Silero and PyTorch's documentation call them so.
SHORT = {"hn": "h", "cn": "c", "h0": "h", "c0": "c", "hx": "h", "cx": "c"}


def detected(inputs: Specs, outputs: Specs) -> tuple[CarriedState, ...]:
    """Return the states that names and shapes tell, where each is one output's alone.

    One input at least is none: something must be said to the model.
    """
    found = tuple(_detected(inputs, outputs))
    return found if len(found) < len(inputs) else ()


def stated(inputs: Specs, outputs: Specs, pairs: Mapping[str, str]) -> tuple[CarriedState, ...]:
    """Return the states that somebody names, by input. Raises :class:`ProjectError`, EK-PROJECT-048
    where two do not hold the same, or nothing is left that items could be for.
    """
    taken, given = ({spec.name: spec for spec in specs} for specs in (inputs, outputs))
    found = []
    for name, output in pairs.items():
        one, other = taken[name], given[output]
        if not _alike(one, other):
            message = (
                f"input {name!r} is {_shown(one)}, output {output!r} {_shown(other)}: the one"
                " cannot be fed with the other"
            )
            hint = "a state is as large and of the same dtype on its way in and out, and no size"
            raise ProjectError(CODE, message, f"{hint} of it is free but the batch")
        found.append(CarriedState(one, other, "it is named so"))
    if len(found) == len(inputs) or len(set(pairs.values())) < len(pairs):
        message = (
            "every input is named as a state"
            if len(found) == len(inputs)
            else ("one output is named as two states")
        )
        raise ProjectError(CODE, message, "--state IN=OUT names each pair once")
    return tuple(found)


def likely(spec: TensorSpec, outputs: Specs) -> str:
    """Return the only output that an input could be a state of, by size; empty where none is."""
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
    """Return the parts of a name without those that tell its way in from its way out."""
    name = re.sub(r":\d+$", "", name)
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = [SHORT.get(word, word) for word in re.split(r"[^a-z0-9]+", parts) if word]
    # "state1" and "state_1" are one name.
    split = [part for word in words for part in re.findall(r"[a-z]+|\d+", word)]
    return tuple(word for word in split if word not in ROLES)


def _alike(one: TensorSpec, other: TensorSpec) -> bool:
    """Return whether an output can be fed to an input, from zeros of a known size on."""
    return bool(
        one.shape
        and one.dtype == other.dtype
        and (one.shape[0] or 1) == (other.shape[0] or 1)
        and one.shape[1:] == other.shape[1:]
        and None not in one.shape[1:]
    )


def _shown(spec: TensorSpec) -> str:
    return f"{spec.dtype} [{', '.join('any' if s is None else str(s) for s in spec.shape)}]"
