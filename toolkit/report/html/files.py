"""``report.html`` in the folder of a run."""

from __future__ import annotations

import logging
from pathlib import Path

from edgekit.report import details, document
from edgekit.report.html.run import run_page
from edgekit.store import write_text
from edgekit.types import Report

FILE = "report.html"
LOG = logging.getLogger("edgekit")


def page_of(folder: Path) -> str:
    """Return the page of a run. Raises :class:`ProjectError` where its files are damaged."""
    return run_page(document.read(folder), details.read(folder))


def write_beside(report: Report, folder: Path) -> None:
    """Write the page into the run's folder: a run does not fail by it, there is only a warning."""
    try:
        write_text(folder / FILE, run_page(report, details.read(folder)))
    except Exception as error:
        LOG.warning("warning EK-REPORT-007: %s was not written: %s", folder / FILE, error)
