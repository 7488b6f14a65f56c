"""Which version answers a request: by a hash of a key, so that the same key gets the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgekit.errors import ServeError

HINT = "two versions, and shares that add up to 100: --split champion=90,candidate=10"


@dataclass(frozen=True)
class Split:
    """What share of requests each arm answers, in per cent; an arm without any is in the shadow.

    Without ``shares`` the first arm answers all.
    """

    shares: Mapping[str, float] = field(default_factory=dict)

    def arm_of(self, key: str, salt: str) -> str | None:
        """Return the arm that answers a key; None where the first answers all.

        ``salt`` is the model's name: with it a key is not in the same arm of every experiment.
        """
        if not self.shares:
            return None
        digest = hashlib.sha256(f"{salt}\0{key}".encode()).digest()
        at = int.from_bytes(digest[:8], "big") / 2**64 * 100
        for name, share in self.shares.items():
            at -= share
            if at < 0:
                return name
        return next(iter(self.shares))


def read_split(text: str, main: Sequence[str]) -> dict[str, float]:
    """Return shares by version from ``champion=90,candidate=10``, the main one first; ``main`` are
    the names that it goes by, and what is left is its own where it is not named.

    Raises :class:`ServeError`.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.strip().rpartition("=")
        share = _number(number)
        if not equals or not name or share is None or name in shares:
            message = f"--split {text}: {part.strip()!r} is not a version with its share"
            raise ServeError("EK-SERVE-006", message, HINT)
        shares[name] = share
    named = [name for name in shares if name in main]
    if not named:
        shares = {main[0]: 100 - sum(shares.values()), **shares}
        named = [main[0]]
    if len(shares) != 2 or len(named) != 1:
        message = f"--split {text}: it is between {main[0]} and one other version"
        raise ServeError("EK-SERVE-006", message, HINT)
    if abs(sum(shares.values()) - 100) > 1e-9 or min(shares.values()) < 0:
        message = f"--split {text}: the shares are {', '.join(f'{v:g}' for v in shares.values())}"
        raise ServeError("EK-SERVE-006", message, HINT)
    return {named[0]: shares.pop(named[0]), **shares}


def _number(text: str) -> float | None:
    try:
        share = float(text.rstrip("%"))
    except ValueError:
        return None
    return share if 0 <= share <= 100 else None
