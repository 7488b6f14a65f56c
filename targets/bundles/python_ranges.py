"""Which Pythons an app's runtimes have wheels for, as pip's files say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgekit.targets.catalog import Runtime

# The app itself needs Python 3.9. Beyond the last there is no Python 3: a range without an end.
FIRST, LAST = 9, 99


def range_of(runtime: Runtime) -> range:
    """Return the minor versions of Python 3 that the app runs on with a runtime."""
    found = re.fullmatch(r">=3\.(\d+)(?:,<3\.(\d+))?", runtime.python)
    first, end = found.groups() if found else (FIRST, None)
    return range(max(FIRST, int(first)), int(end or LAST))


def requires_python(runtimes: Sequence[Runtime]) -> str:
    """Return the Pythons that any of the runtimes has wheels for, as ``requires-python``."""
    ranges = [range_of(runtime) for runtime in runtimes]
    first = min((one.start for one in ranges), default=FIRST)
    end = max((one.stop for one in ranges), default=LAST)
    return f">=3.{first}" + (f",<3.{end}" if end < LAST else "")


def in_words(runtimes: Sequence[Runtime]) -> str:
    """Return them for a reader: ``Python 3.9 to 3.14``."""
    first, _, end = requires_python(runtimes).partition(",<3.")
    first = first.removeprefix(">=")
    return f"Python {first} to 3.{int(end) - 1}" if end else f"Python {first} or later"


def shares(runtimes: Sequence[Runtime]) -> Iterator[tuple[Runtime, str]]:
    """Yield each runtime with the marker of the Pythons of which it is the first with wheels.

    No Python gets two; the marker is empty where the runtime is for all.
    """
    taken: set[int] = set()
    for runtime in runtimes:
        free = [minor for minor in range_of(runtime) if minor not in taken]
        taken.update(free)
        starts = [minor for minor in free if minor - 1 not in free]
        ends = [minor + 1 for minor in free if minor + 1 not in free]
        for start, end in zip(starts, ends, strict=True):
            yield runtime, _marker(start, end)


def _marker(start: int, end: int) -> str:
    """Return a range as an environment marker. Source: "Dependency specifiers", Python Packaging
    User Guide.
    """
    bounds = []
    if start > FIRST:
        bounds.append(f"python_version >= '3.{start}'")
    if end < LAST:
        bounds.append(f"python_version < '3.{end}'")
    return " and ".join(bounds)
