"""Which item a runner died on: parts of the items are run again, each in a fresh process."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.errors import RunnerCrashed, RunnerError, RunnerHung, RuntimeCannotRun
from edgekit.types import Request

# Seconds that the search may take in all, and launches of a runner.
PATIENCE = 30.0
LAUNCHES = 24
# Seconds that the first item alone may take, start-up included, before a hang is told from it.
START = 10.0
# An item hangs that takes this many times as long as the first, and this many seconds more.
TIMES, SLACK = 2.0, 1.5
SEARCHED = (RunnerCrashed, RuntimeCannotRun, RunnerHung)

Range = tuple[int, int]
# Runs a request within seconds; raises RunnerError where it fails.
Attempt = Callable[[Request, float], object]
Running = Callable[[Request], Range | None]


class OutOfPatience(Exception):
    """The search has used its time or its launches."""


class ItemBisection:
    """The search for the item that makes one request fail, by bisection.

    An item is named only where a fresh runner fails on it, one item at a time: what needs a batch,
    or the answers before it, is not found.
    """

    def __init__(
        self,
        request: Request,
        failure: RunnerError,
        attempt: Attempt,
        running: Running,
        folder: Path,
        limit: float | None,
    ) -> None:
        self._request, self._failure, self._attempt = request, failure, attempt
        self._running, self._folder = running, folder
        self._end = time.monotonic() + PATIENCE
        self._launches = 0
        self._most = limit or PATIENCE
        # The error that the last failing attempt raised.
        self.error: RunnerError = failure

    def item(self, within: Range | None) -> int | None:
        """Return the position of the first item that fails alone; ``None`` where there is none in
        time.

        ``within`` is what the runner was at; without it, all items of the request are meant.
        """
        try:
            start, stop = within or items_of(self._request)
            if not start < stop:
                return None
            if self._first_fails(start):
                return start
            narrowed = self._fails((start, stop))
            if narrowed is None:
                return None
            return self._bisect(narrowed)
        except (OutOfPatience, OSError, ValueError, KeyError):
            return None

    def _first_fails(self, start: int) -> bool:
        """Tell whether the first item fails alone. Of a hang it is the control: what items take."""
        if not isinstance(self._failure, RunnerHung):
            return self._fails((start, start + 1)) is not None
        limit, begin = self._most, time.monotonic()
        self._most = min(limit, START)
        if self._fails((start, start + 1)) is not None:
            if self._most < limit:
                # Slow or hung: only the limit itself tells.
                raise OutOfPatience
            return True
        self._most = min(limit, SLACK + TIMES * (time.monotonic() - begin))
        return False

    def _bisect(self, failing: Range) -> int | None:
        low, high = failing
        certain = high - low == 1
        while high - low > 1:
            middle = (low + high) // 2
            narrowed = self._fails((low, middle))
            certain = narrowed is not None and narrowed[1] - narrowed[0] == 1
            low, high = narrowed or (middle, high)
        if certain or self._fails((low, high)) is not None:
            return low
        return None

    def _fails(self, items: Range) -> Range | None:
        """Run some items one at a time: ``None`` where they pass, else those that can be at fault.

        The runner's own word on where it was narrows them.
        """
        left = self._end - time.monotonic()
        if left <= 0 or self._launches >= LAUNCHES:
            raise OutOfPatience
        self._launches += 1
        outputs = self._folder / f"outputs-{self._launches}"
        (model,) = self._request.models
        request = replace(
            self._request,
            models=(replace(model, outputs=outputs),),
            items=items,
            batch=1,
            processes=1,
            block=1,
        )
        try:
            self._attempt(request, min(left, self._most))
        except RunnerError as error:
            hung = isinstance(error, RunnerHung)
            if not isinstance(error, SEARCHED) or hung != isinstance(self._failure, RunnerHung):
                raise OutOfPatience from error
            self.error = error
            start, stop = self._running(request) or items
            return max(start, items[0]), min(stop, items[1])
        return None


def located(
    error: RunnerError,
    request: Request,
    within: Range | None,
    attempt: Attempt,
    running: Running,
    folder: Path,
    limit: float | None,
) -> RunnerError:
    """Return the error of a request with the item it happened at, or what is known of it.

    ``within`` is what the runner was at, ``limit`` the seconds a request may take. What the search
    needs lies in ``folder``, which is deleted.
    """
    where = f" at items {within[0]} to {within[1] - 1}" if within else ""
    # A model that is refused before any item is, is refused as a whole.
    refused = isinstance(error, RuntimeCannotRun) and within is None
    if not isinstance(error, SEARCHED) or refused or len(request.models) != 1:
        return type(error)(error.code, f"{error.message}{where}", error.hint)
    search = ItemBisection(request, error, attempt, running, folder, limit)
    try:
        item = search.item(within)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if item is None:
        return type(error)(error.code, f"{error.message}{where}", error.hint)
    # A hang is told by the limit that it broke, not by the shorter one of the search.
    shown = error if isinstance(error, RunnerHung) else search.error
    message = f"{shown.message}{_at(request, item, before=within is None)}"
    return type(shown)(shown.code, message, shown.hint, item)


def _at(request: Request, item: int, before: bool) -> str:
    """Tell where an error happened; ``before`` says that it may have been on the way to the
    item.
    """
    data = number_in_data(request, item)
    own = "" if data == item else f" (item {data} of the data)"
    if item > items_of(request)[0]:
        return f" at item {item}{own}"
    return f" at the first item{' or before it' if before else ''}{own}"


def hull(ranges: Iterable[Range]) -> Range | None:
    """Return what several processes of a runner were at: the fault lies with one of them."""
    found = sorted(ranges)
    return (found[0][0], max(stop for _, stop in found)) if found else None


def items_of(request: Request) -> Range:
    """Return the range of positions that a request asks for."""
    if request.items is not None:
        return request.items
    listed = request.index or next(iter(request.inputs.values()))
    return 0, len(np.load(listed, mmap_mode="r"))


def number_in_data(request: Request, item: int) -> int:
    """Tell which item of the data lies at a position of the request."""
    return int(np.load(request.index, mmap_mode="r")[item]) if request.index else item
