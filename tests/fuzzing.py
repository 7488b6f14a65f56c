"""What the fuzzers of readers share: mutations, seeded, and the rule that they are held against."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from edgekit.errors import EdgekitError, ExitCode

T = TypeVar("T")
SEED = 11
LONGEST_SECONDS = 20
# What somebody else's file may have for a value.
VALUES = (
    None,
    True,
    -1,
    0,
    10**30,
    10**400,
    1e308,
    -0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "1e400",
    "\ud800",
    "../..",
    [],
    {},
    [[]],
    {"a": 1},
    "passed",
    "int8",
)


def honest(call: Callable[[], T]) -> T | None:
    """What a call gives; nothing where it refuses its input with exit code 2."""
    try:
        return call()
    except EdgekitError as error:
        if error.exit_code != ExitCode.USAGE:
            raise
    return None


def trial(
    mutants: Iterator[T], read: Callable[[T], object], allowed: tuple[ExitCode, ...]
) -> Counter[str]:
    """Read each mutant: how often it was read, and refused by which code.

    Fails where one is an internal error, is refused without a word, or takes too long; it says
    which.
    """
    found: Counter[str] = Counter()
    odd: dict[str, str] = {}
    before = signal.signal(signal.SIGALRM, _too_long)
    for number, mutant in enumerate(mutants):
        signal.alarm(LONGEST_SECONDS)
        try:
            read(mutant)
            found["read"] += 1
        except EdgekitError as error:
            found[error.code] += 1
            if error.exit_code not in allowed or not error.message:
                odd.setdefault(f"{error.exit_code}: {error}"[:300], f"mutant {number}")
        except Exception as error:
            odd.setdefault(f"{type(error).__name__}: {error}"[:300], f"mutant {number}")
        finally:
            signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    if odd:
        raise AssertionError(odd)
    return found


def _too_long(*_: object) -> None:
    pytest.fail(f"not read after {LONGEST_SECONDS} s")


def bent(content: bytes, rng: random.Random) -> bytes:
    """The content with some bytes changed, cut out, or doubled."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found) or 1)
        how = rng.random()
        if how < 0.6 and found:
            found[at] = rng.choice((rng.randrange(256), 0x28, 0x5B, 0x7B, 0x22, 0x39, 0x2D))
        elif how < 0.8:
            del found[at : at + rng.randint(1, 40)]
        else:
            found[at:at] = found[at : at + rng.randint(1, 40)] * rng.randint(1, 5)
    return bytes(found)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value of a document is."""
    if isinstance(value, dict):
        pairs: Any = value.items()
    else:
        pairs = enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        yield (*place, key)
        yield from places(one, (*place, key))


def changed(document: Any, rng: random.Random) -> Any:
    """A copy of a document with one value removed, replaced, or added."""
    copied = json.loads(json.dumps(document))
    *where, last = rng.choice(list(places(document)))
    at = copied
    for part in where:
        at = at[part]
    how = rng.random()
    if how < 0.2:
        del at[last]
    elif how < 0.3 and isinstance(at, dict):
        at["odd"] = rng.choice(VALUES)
    else:
        at[last] = rng.choice(VALUES)
    return copied


def written(document: Any) -> bytes:
    """A document as JSON, with what JSON should not hold."""
    return json.dumps(document).encode("utf-8", "surrogatepass")
