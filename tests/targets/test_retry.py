"""What a broken connection cuts short is begun again, for as long as that brings something new."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from edgekit.errors import ConnectionLost, DeviceError
from edgekit.targets.devices.retry import ATTEMPTS, again


def cut(times: int, made: list[int]) -> Callable[[], str]:
    """An action that a connection cuts short so often; ``made`` counts how often it was begun."""
    errors: Iterator[Exception] = iter(
        ConnectionLost("EK-DEVICE-030", f"cut {one}") for one in range(1, times + 1)
    )

    def action() -> str:
        made.append(len(made) + 1)
        for error in errors:
            raise error
        return "done"

    return action


def test_what_is_cut_short_is_begun_again() -> None:
    made: list[int] = []
    assert again(cut(ATTEMPTS - 1, made)) == "done"
    assert len(made) == ATTEMPTS


def test_the_last_error_is_raised_after_as_many_attempts_that_bring_nothing() -> None:
    made: list[int] = []
    with pytest.raises(ConnectionLost, match=f"cut {ATTEMPTS}"):
        again(cut(ATTEMPTS + 5, made))
    assert len(made) == ATTEMPTS


def test_attempts_that_bring_something_are_not_counted() -> None:
    made: list[int] = []
    assert again(cut(4 * ATTEMPTS, made), progress=lambda: len(made)) == "done"


def test_attempts_count_anew_from_the_last_that_brought_something() -> None:
    made: list[int] = []
    with pytest.raises(ConnectionLost):
        again(cut(50, made), progress=lambda: min(len(made), 4))
    assert len(made) == 4 + ATTEMPTS


def test_another_error_is_raised_at_once() -> None:
    made: list[int] = []

    def refused() -> None:
        made.append(1)
        raise DeviceError("EK-DEVICE-033", "no space")

    with pytest.raises(DeviceError, match="no space"):
        again(refused)
    assert len(made) == 1
