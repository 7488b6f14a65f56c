"""``report.html`` in the folder of a run."""

from __future__ import annotations

import logging
from pathlib import Path

from edgekit.report import details, measured_files
from edgekit.report.html.run import run_page
from edgekit.store import write_text
from edgekit.types import BenchReport, Compared, Evaluated, Report
from edgekit.types.details import Details

FILE = "report.html"
Done = Report | Evaluated | Compared | BenchReport
LOG = logging.getLogger("edgekit")


def page_of(folder: Path) -> str:
    """Return the page of a run. Raises :class:`ProjectError` where its files are damaged."""
    return page(measured_files.read_run(folder), details.read(folder))


def page(done: Done, details: Details | None) -> str:
    """Return the page of what any command found."""
    if isinstance(done, Report):
        return run_page(done, details)
    from edgekit.report.html.measured import bench_page, compared_page, evaluated_page

    if isinstance(done, Evaluated):
        return evaluated_page(done, details)
    return compared_page(done, details) if isinstance(done, Compared) else bench_page(done, details)


def write_beside(done: Done, folder: Path) -> None:
    """Write the page into the run's folder: a run does not fail by it, there is only a warning."""
    try:
        write_text(folder / FILE, page(done, details.read(folder)))
    except Exception as error:
        LOG.warning("warning EK-REPORT-007: %s was not written: %s", folder / FILE, error)
