"""Items read ahead by threads: decoders of pictures leave Python's lock alone while they work."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Place = TypeVar("Place")
Item = TypeVar("Item")
# Items that wait, decoded or being so, for each thread: what is held in memory is bounded.
WAITING = 4


def ahead(
    read: Callable[[Place], Item], places: Iterable[Place], threads: int
) -> Iterator[tuple[Place, Callable[[], Item]]]:
    """Yield each place, in order, with a function that waits for what was read there.

    One thread reads when it is asked. The function raises what ``read`` raises.
    """
    if threads < 2:
        for place in places:
            yield place, lambda place=place: read(place)  # type: ignore[misc]
        return
    waiting: collections.deque[tuple[Place, Future[Item]]] = collections.deque()
    with ThreadPoolExecutor(threads, "edgekit-read") as executor:
        try:
            for place in places:
                waiting.append((place, executor.submit(read, place)))
                if len(waiting) == WAITING * threads:
                    first, future = waiting.popleft()
                    yield first, future.result
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result
        finally:
            executor.shutdown(cancel_futures=True)
