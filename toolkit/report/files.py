"""The run's folder: ``report.json``, ``details.json``, ``summary.md`` and ``junit.xml``."""

from __future__ import annotations

import json
from pathlib import Path

from edgekit.report.document import to_json
from edgekit.store import write_bytes, write_text
from edgekit.types import Report

COMMAND = "convert"


def write(report: Report, folder: Path) -> None:
    """Write every form of the report into the run's folder."""
    write_text(
        folder / "report.json", json.dumps(to_json(report), indent=2, allow_nan=False) + "\n"
    )
    if report.details is not None:
        from edgekit.report import details

        details.write(report.details, folder)
    write_text(folder / "summary.md", summary(report))
    write_bytes(folder / "junit.xml", junit(report))


def summary(report: Report) -> str:
    """Return the run in Markdown, for a pull request."""
    from edgekit.report.ci import markdown
    from edgekit.report.ci.views import judged

    return markdown.summary(judged(report, COMMAND))


def junit(report: Report) -> bytes:
    """Return the verdict's checks as JUnit XML."""
    from edgekit.report.ci import junit as written
    from edgekit.report.ci.views import judged

    return written.junit(judged(report, COMMAND))
