"""Which inputs are states: by names and shapes where these are clear, else as somebody says."""

from __future__ import annotations

import pytest

from edgekit.errors import ProjectError
from edgekit.models.states import detected, likely, stated
from edgekit.types import TensorSpec


def specs(*rows: tuple[str, tuple[int | None, ...]], dtype: str = "float32") -> tuple:  # type: ignore[type-arg]
    return tuple(TensorSpec(name, shape, dtype) for name, shape in rows)


X, Y = ("x", (1, 4)), ("y", (1, 4))
STATE = (1, 2, 128, 2)


@pytest.mark.parametrize(
    ("taken", "given"),
    [
        ("state_in", "state_out"),
        ("state", "stateN"),
        ("h", "hn"),
        ("c0", "cn"),
        ("in_state_1", "out_state_1"),
        ("serving_default_state_in:0", "state_out"),
        ("prevHidden", "nextHidden"),
        ("cache", "new_cache"),
        ("state", "state"),
    ],
)
def test_a_state_is_known_by_its_name_and_size(taken: str, given: str) -> None:
    (found,) = detected(specs(X, (taken, STATE)), specs(Y, (given, STATE)))
    assert (found.input.name, found.output.name) == (taken, given)
    assert "[1, 2, 128, 2]" in found.why


@pytest.mark.parametrize(
    ("taken", "given"),
    [
        # What goes in and comes out of a denoiser.
        (("audio_in", (1, 512)), ("audio_out", (1, 512))),
        # Real DTLN files: names say nothing.
        (("input_2", STATE), ("Identity_1", STATE)),
        (("state_in", (1, 8)), ("state_out", (1, 16))),
        (("state_in", (1, None, 8)), ("state_out", (1, None, 8))),
        (("state_1", (1, 8)), ("state_2", (1, 8))),
    ],
)
def test_what_is_not_clear_is_no_state(
    taken: tuple[str, tuple[int | None, ...]], given: tuple[str, tuple[int | None, ...]]
) -> None:
    assert detected(specs(X, taken), specs(Y, given)) == ()


def test_two_outputs_called_alike_are_no_state() -> None:
    outputs = specs(Y, ("state_out", (1, 8)), ("new_state", (1, 8)))
    assert detected(specs(X, ("state_in", (1, 8))), outputs) == ()


def test_a_model_of_nothing_but_states_has_none() -> None:
    assert detected(specs(("state_in", (1, 8))), specs(Y, ("state_out", (1, 8)))) == ()


def test_another_dtype_is_no_state() -> None:
    outputs = specs(Y, ("state_out", (1, 8)))
    inputs = (*specs(X), *specs(("state_in", (1, 8)), dtype="int32"))
    assert detected(inputs, outputs) == ()


def test_a_free_batch_meets_a_batch_of_one() -> None:
    assert detected(specs(X, ("state_in", (None, 8))), specs(Y, ("state_out", (1, 8))))


def test_what_is_stated_must_hold_the_same() -> None:
    inputs, outputs = specs(X, ("input_2", STATE)), specs(Y, ("Identity_1", STATE))
    (found,) = stated(inputs, outputs, {"input_2": "Identity_1"})
    assert (found.input.name, found.output.name) == ("input_2", "Identity_1")
    for wrong, words in (
        ({"input_2": "y"}, "cannot be fed back to the input"),
        ({"input_2": "Identity_1", "x": "y"}, "every input is named"),
    ):
        with pytest.raises(ProjectError, match=words) as refused:
            stated(inputs, outputs, wrong)
        assert refused.value.code == "EK-PROJECT-048"


def test_the_only_output_of_its_size_is_likely() -> None:
    outputs = specs(Y, ("Identity_1", STATE))
    assert likely(TensorSpec("input_2", STATE, "float32"), outputs) == "Identity_1"
    assert likely(TensorSpec("input_2", (1, 9), "float32"), outputs) == ""
