"""JUnit XML: a suite per target, a case per check, as Jenkins, GitLab and GitHub read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence

from edgekit.report.ci.escaping import plain_text
from edgekit.report.ci.judged import (
    Group,
    Judged,
    Outcome,
    Undecided,
    bounds,
    figure,
    margin,
    outcome_of,
    split_run,
)
from edgekit.report.evidence import NOT_JUDGED
from edgekit.types import CheckResult, Status

# What each outcome is in JUnit: an error is a check that could not be made.
ELEMENTS: dict[Outcome, str] = {
    "red": "failure",
    "undecided": "failure",
    "unavailable": "error",
    "waived": "skipped",
    "skipped": "skipped",
    "passed": "system-out",
}


def junit(judged: Judged) -> bytes:
    """Return the checks as JUnit XML: failures are red, and what could not be measured an error.

    An inconclusive check is a failure of its own type, or skipped where it counts as passed.
    """
    root = ET.Element("testsuites", name=plain_text(f"edgekit {judged.command}: {judged.title}"))
    counts: Counter[str] = Counter()
    # A viewer of nothing shows green.
    for group in judged.groups or (Group(judged.title, ()),):
        suite = _suite(group, judged)
        root.append(suite)
        counts.update({name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors")})
    root.attrib.update({name: str(counts[name]) for name in ("tests", "failures", "errors")})
    root.set("time", f"{judged.seconds:.3f}")
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(group: Group, judged: Judged) -> ET.Element:
    counts = Counter(ELEMENTS[outcome_of(check, judged.undecided)] for check in group.checks)
    suite = ET.Element(
        "testsuite",
        name=plain_text(group.name),
        package="edgekit",
        tests=str(len(group.checks)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
    )
    facts = {"run": judged.run, **judged.facts, "model": group.model, "target": group.note}
    properties = ET.SubElement(suite, "properties")
    for name, value in facts.items():
        if value:
            ET.SubElement(properties, "property", name=name, value=plain_text(value))
    names = _names(group.checks)
    for check, name in zip(group.checks, names, strict=True):
        suite.append(_case(check, name, group.run, judged.undecided))
    if not group.checks:
        suite.append(_unjudged(group))
        suite.attrib.update(tests="1", skipped="1")
    return suite


def _unjudged(group: Group) -> ET.Element:
    """Return a skipped case for what nothing judged."""
    name = plain_text(f"edgekit.{group.name.replace('.', '_')}")
    case = ET.Element("testcase", classname=name, name="evaluation")
    status = Status.NOT_EVALUATED.value
    ET.SubElement(case, "skipped", message=NOT_JUDGED, type=status).text = status
    return case


def _names(checks: Sequence[CheckResult]) -> list[str]:
    """Return a name for each case that is the only one: viewers merge those of one name."""
    often = Counter((check.candidate, check.name) for check in checks)
    return [
        f"{check.name} ({check.limit})" if often[check.candidate, check.name] > 1 else check.name
        for check in checks
    ]


def _case(check: CheckResult, name: str, run: str, undecided: Undecided) -> ET.Element:
    # A viewer takes what is before the last dot for a package.
    _, target = split_run(check.target, (run,))
    parts = (part.replace(".", "_") for part in (run, target, check.candidate) if part)
    where = ".".join(dict.fromkeys(("edgekit", *parts)))
    case = ET.Element("testcase", classname=plain_text(where), name=plain_text(name))
    away = margin(check)
    held = "; ".join(part for part in (f"limit: {check.limit}", away) if part)
    message = f"{check.message} ({held})" if check.limit else check.message
    outcome = outcome_of(check, undecided)
    element = ET.SubElement(case, ELEMENTS[outcome])
    lines = [message, *([f"what to do: {check.fix}"] if check.fix else ()), *_figures(check)]
    if check.status is Status.INCONCLUSIVE and undecided:
        counted = "failed" if undecided == "fail" else "passed"
        lines.append(f"inconclusive, counted as {counted}: --inconclusive {undecided}")
    element.text = plain_text("\n".join(lines))
    if outcome != "passed":
        element.set("message", plain_text(message))
        element.set("type", check.status.value)
    return case


def _figures(check: CheckResult) -> list[str]:
    """Return the numbers on lines of their own, for who searches or parses."""
    if check.measured is None or check.measured.value is None:
        return []
    unit = check.measured.unit
    lines = [f"figure: {figure(check)} ({_exact(check.measured.value, unit)})"]
    if interval := bounds(check):
        lines.append(f"95 % interval: {interval}")
    if check.bound is not None:
        side = "at least" if check.bound.at_least else "at most"
        lines.append(f"bound: {side} {_exact(check.bound.value, check.bound.unit)}")
    return lines


def _exact(value: float, unit: str) -> str:
    """Return a number as a parser takes it, with its unit in words: a share has none."""
    number = f"{value:.12g}"
    return f"{number} as a share" if unit == "1" else f"{number} {unit}"
