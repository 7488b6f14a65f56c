"""How accuracy that int8 lost was brought back, in words."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.types import Recovery

WORDS = {
    "recovered": "stands in for {}",
    "not proven": "stands in for {}",
    "not recovered": "does not bring back what {} lost",
}


def recovery_lines(candidate: str, recovery: Recovery) -> Iterator[tuple[str, str]]:
    """Yield what was recovered, which operators stay in float, and the search's effort."""
    style = "" if recovery.succeeded else "yellow"
    yield f"{candidate}: {recovery.sentence}", style
    for name in recovery.float_operators:
        yield f"  in float: {name}", "dim"
    spent = f"{recovery.evaluations} evaluations of at most {recovery.allowed}"
    what = WORDS[recovery.outcome].format(recovery.stands_for)
    yield f"  {what}; {spent}, {recovery.seconds:.0f} s", "dim"
