"""``edgekit explain``: what a code or a check means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines
from edgekit.cli.help import documented
from edgekit.cli.options import common
from edgekit.errors import ProjectError
from edgekit.wrapping import WIDTH, wrapped

Line = tuple[str, str]


@documented(
    "explain",
    ("what a code means, and what to do", "edgekit explain EK-DATA-004"),
    ("a check of the verdict", "edgekit explain size"),
    ("every code about data", "edgekit explain DATA"),
)
@click.argument("name", nargs=-1, shell_complete=completers.code)
@common
def command(name: tuple[str, ...], as_json: bool, verbose: bool, quiet: bool) -> int:
    """Explain NAME: a code such as EK-DATA-004, a check such as size, or an area such as DATA.

    Without NAME the areas of codes and the checks are listed.
    """
    from edgekit import explanations

    out = console(False)
    written = " ".join(name)
    area = written.upper().removeprefix("EK-").removesuffix("-")
    if not written or area in explanations.AREAS:
        listed = _listed(area)
        if as_json:
            print_json(listed)
        else:
            width = out.width if out.edge else WIDTH
            print_lines(out, _rows(listed, width) if written else _overview(listed, width))
        return 0
    try:
        explanation = explanations.explain(written)
    except ProjectError:
        # The names of metrics take longer to import than all else here.
        explanation = explanations.explain(written, _metrics(written))
    if as_json:
        print_json(_plain(explanation))
    else:
        print_lines(out, _lines(explanation, out.width if out.edge else None))
    return 0


def _metrics(written: str) -> tuple[str, ...]:
    """Return the metrics that edgekit knows, where the name is not one of its codes."""
    if written.upper().startswith("EK-"):
        return ()
    from edgekit.evaluation.metrics import METRICS

    return tuple(METRICS)


def _plain(explanation: Any) -> dict[str, Any]:
    return {
        "name": explanation.name,
        "what": explanation.what,
        "causes": list(explanation.causes),
        "fix": explanation.fix,
    }


def _listed(area: str) -> dict[str, Any]:
    """Return the codes of an area, or of all, and the checks where no area is named."""
    from edgekit import explanations

    shown = [area] if area else list(explanations.AREAS)
    codes: dict[str, Any] = {
        name: {
            "about": explanations.AREAS[name],
            "codes": {
                code: _plain(each)
                for code, each in explanations.codes().items()
                if code.split("-")[1] == name
            },
        }
        for name in shown
    }
    if area:
        return {"areas": codes}
    return {
        "areas": codes,
        "checks": {name: _plain(each) for name, each in explanations.checks().items()},
    }


def _overview(overview: dict[str, Any], width: int) -> Iterator[Line]:
    yield "codes (edgekit explain DATA lists those of an area)", "bold"
    for name, area in overview["areas"].items():
        yield f"  EK-{name + '-…':<11} {len(area['codes']):>3}  {area['about']}", ""
    yield "checks (edgekit explain size)", "bold"
    for name, each in overview["checks"].items():
        yield _row(f"  {name:<20} ", each["what"], width), ""


def _rows(found: dict[str, Any], width: int) -> Iterator[Line]:
    for area in found["areas"].values():
        yield area["about"], "bold"
        for code, each in area["codes"].items():
            yield _row(f"  {code:<16} ", each["what"], width), ""


def _row(begin: str, what: str, width: int) -> str:
    """Return a name and the first sentence of what it means, as much as a line holds."""
    from textwrap import shorten

    room = max(min(width, WIDTH) - len(begin), 20)
    return begin + shorten(what.partition(". ")[0].rstrip("."), room, placeholder=" …")


def _lines(explanation: Any, width: int | None) -> Iterator[Line]:
    from edgekit.explanations import without_links as shown

    def prose(text: str) -> Iterator[Line]:
        # What follows stands below the first line: only a cause, which has a dash, hangs.
        lines = wrapped(shown(text), min(width, WIDTH), "  ") if width else [f"  {shown(text)}"]
        return ((line, "") for line in lines)

    yield explanation.name, "bold"
    yield from prose(explanation.what)
    if explanation.causes:
        yield "likely causes", "bold"
        yield from ((f"  - {shown(cause)}", "") for cause in explanation.causes)
    yield "what to do", "bold"
    yield from prose(explanation.fix)
