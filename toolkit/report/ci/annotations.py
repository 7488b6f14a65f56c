"""Annotations of GitHub Actions: workflow commands that mark lines of the project file."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report.ci.escaping import annotation, annotation_property
from edgekit.report.ci.findings import UNEVALUATED, findings
from edgekit.report.ci.judged import Judged
from edgekit.report.ci.source import Source


def annotation_lines(judged: Judged, source: Source) -> Iterator[str]:
    """Yield a line for each check that is not passed, and each warning, the red first.

    Of the notes, only that nothing was evaluated.
    """
    for finding in findings(judged, source):
        if finding.level == "note" and finding.rule != UNEVALUATED:
            continue
        title = annotation_property(f"edgekit: {finding.title}")
        path, line = finding.place
        place = f"file={annotation_property(path)},line={line},title={title}"
        kind = "notice" if finding.level == "note" else finding.level
        yield f"::{kind} {place}::{annotation(finding.text)}"
