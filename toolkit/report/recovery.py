"""How accuracy that int8 lost was brought back, in words."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.types import Recovery

WORDS = {
    "recovered": "replaces {}",
    "not proven": "replaces {}",
    "not recovered": "does not recover what {} lost",
}


def recovery_lines(candidate: str, recovery: Recovery) -> Iterator[tuple[str, str]]:
    """Yield what was recovered, which operators stay in float, and the search's effort."""
    style = "" if recovery.succeeded else "yellow"
    yield f"{candidate}: {recovery.sentence}", style
    for name in recovery.float_operators:
        yield f"  in float: {name}", "dim"
    spent = f"{recovery.evaluations} evaluations of at most {recovery.allowed}"
    outcome = WORDS[recovery.outcome].format(recovery.stands_for)
    yield f"  {outcome}; {spent}, {recovery.seconds:.0f} s", "dim"
