"""Write the page of errors from what `edgekit explain` says: error_table.py docs/errors.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from edgekit import explanations

HEAD = """\
# Errors, notes and checks

Codes are stable. The message itself says what happened, where, why and what to do; this page
explains each code in general, and so does `edgekit explain CODE`. `EK-NOTE` codes are notes and
warnings of a run, `EK-INSPECT` codes are findings in a `.tflite` file, and `EK-LINT` codes are
findings in the data ([lint-data](lint-data.md) explains them). Every code and every check is an
anchor: a link to `errors.md#ek-data-004` leads to it.

`python tests/error_table.py docs/errors.md` writes this page from `toolkit/explanations/`.
"""
CHECKS = """\
What `edgekit check`, `convert`, `compare`, `evaluate` and `bench` judge; [gate.md](gate.md) says
how. Words in capitals stand for names. `edgekit explain size` says the same.
"""


def page() -> str:
    """The whole page: a table of the areas, then a section per code and per check."""
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    yield HEAD
    yield "| codes | number | about |\n| --- | --- | --- |"
    areas = {area: _of_area(area) for area in explanations.AREAS}
    for area, listed in areas.items():
        yield f"| [EK-{area}](#{area.lower()}) | {len(listed)} | {explanations.AREAS[area]} |"
    checks = list(explanations.checks().values())
    yield f"| [checks](#checks) | {len(checks)} | what a run is judged by |\n"
    for area, listed in areas.items():
        yield f"## {area}\n"
        yield f"About {explanations.AREAS[area]}.\n"
        yield from map(section, listed)
    yield f"## Checks\n\n{CHECKS}"
    yield from map(section, checks)


def _of_area(area: str) -> list[explanations.Explanation]:
    codes = explanations.codes().values()
    return sorted(
        (each for each in codes if each.name.split("-")[1] == area), key=lambda each: each.name
    )


def section(explanation: explanations.Explanation) -> str:
    """The section of a code or a check."""
    causes = "".join(f"- {cause}\n" for cause in explanation.causes)
    likely = f"Likely causes:\n\n{causes}\n" if causes else ""
    to_do = f"**What to do:** {explanation.fix}\n"
    return f"### {explanation.name}\n\n{explanation.what}\n\n{likely}{to_do}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
