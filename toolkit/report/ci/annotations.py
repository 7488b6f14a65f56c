"""Annotations of GitHub Actions: workflow commands that mark lines of the project file."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report.ci.escaping import annotation, annotation_property
from edgekit.report.ci.findings import findings
from edgekit.report.ci.judged import Judged
from edgekit.report.ci.source import Source


def annotation_lines(judged: Judged, source: Source) -> Iterator[str]:
    """Yield a line for each check that is not passed, and each warning, the red first."""
    for finding in findings(judged, source):
        if finding.level == "note":
            continue
        title = annotation_property(f"edgekit: {finding.title}")
        path, line = finding.place
        place = f"file={annotation_property(path)},line={line},title={title}"
        yield f"::{finding.level} {place}::{annotation(finding.text)}"
