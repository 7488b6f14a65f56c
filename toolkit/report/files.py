"""The run's folder: ``report.json``, ``summary.md``, ``junit.xml``, and the run's artefacts."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from edgekit.report.document import to_json
from edgekit.report.grid import Row
from edgekit.report.outputs import TITLES, outputs_rows
from edgekit.report.table import headings, rows, verdict_lines
from edgekit.store import write_bytes, write_text
from edgekit.types import CheckResult, Report, Status


def write(report: Report, folder: Path) -> None:
    """Write every form of the report into the run's folder."""
    write_text(
        folder / "report.json", json.dumps(to_json(report), indent=2, allow_nan=False) + "\n"
    )
    write_text(folder / "summary.md", summary(report))
    write_bytes(folder / "junit.xml", junit(report))


def summary(report: Report) -> str:
    """Return the run in Markdown, for a pull request."""
    titles = [f"{a}<br>{b}" if b else a for a, b in headings(report)]
    lines = [
        f"# {report.model['name']} {report.model['version']}: {report.verdict.status.value}",
        "",
    ]
    lines += ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    lines += [_markdown(row) for row in rows(report)]
    others = list(outputs_rows(report))
    if others:
        titles = [f"{a}<br>{b}" if b else a for a, b in TITLES]
        lines += ["", "| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
        lines += [_markdown(row) for row in others]
    lines += ["", *(f"- {text.strip()}" for text, _ in verdict_lines(report))]
    return "\n".join(lines) + "\n"


def _markdown(row: Row) -> str:
    return "| " + " | ".join(f"{a}<br>{b}" if b else a for a, b in row.cells) + " |"


def junit(report: Report) -> bytes:
    """Return the verdict's checks as JUnit test cases: failures are red, the undecided are
    errors.
    """
    checks = report.verdict.checks
    red = (Status.FAILED, Status.INCOMPATIBLE)
    undecided = (Status.UNAVAILABLE, Status.INCONCLUSIVE)
    suite = ET.Element(
        "testsuite",
        name="edgekit",
        tests=str(len(checks)),
        failures=str(sum(c.status in red for c in checks)),
        errors=str(sum(c.status in undecided and c.stated for c in checks)),
        skipped=str(sum(c.status in undecided and not c.stated for c in checks)),
    )
    for check in checks:
        suite.append(_case(check, red, undecided))
    ET.indent(suite)
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(check: CheckResult, red: tuple[Status, ...], undecided: tuple[Status, ...]) -> ET.Element:
    where = ".".join(part for part in ("edgekit", check.target, check.candidate) if part)
    case = ET.Element("testcase", classname=where, name=check.name)
    text = f"{check.message} (limit: {check.limit})" if check.limit else check.message
    if check.status in red:
        ET.SubElement(case, "failure", message=text, type=check.status.value)
    elif check.status in undecided:
        kind = "error" if check.stated else "skipped"
        ET.SubElement(case, kind, message=text, type=check.status.value)
    else:
        ET.SubElement(case, "system-out").text = text
    return case
