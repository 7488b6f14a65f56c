"""What threads read ahead: in order, no more of it than is allowed, errors where they belong."""

from __future__ import annotations

import threading

import pytest

from edgekit.data.ahead import WAITING, ahead


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_items_come_in_order_and_few_wait(threads: int) -> None:
    held, most, lock = 0, 0, threading.Lock()

    def read(place: int) -> int:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return place * 2

    for place, wait in ahead(read, range(100), threads):
        assert wait() == place * 2
        with lock:
            held -= 1
    assert most <= WAITING * threads


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_is_raised_at_its_place(threads: int) -> None:
    def read(place: int) -> int:
        if place >= 7:
            raise OSError(f"{place} is damaged")
        return place

    seen = []

    def all_of_them() -> None:
        for place, wait in ahead(read, range(1000), threads):
            wait()
            seen.append(place)

    with pytest.raises(OSError, match="7 is damaged"):
        all_of_them()
    assert seen == list(range(7))
