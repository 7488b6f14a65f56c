"""Annotations of GitHub Actions: workflow commands that mark lines of the project file."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report.ci.escaping import annotation, annotation_property
from edgekit.report.ci.issues import UNEVALUATED, issues
from edgekit.report.ci.judged import Judged
from edgekit.report.ci.source import Source


def annotation_lines(judged: Judged, source: Source) -> Iterator[str]:
    """Yield a line for each check that is not passed, and each warning, the red first.

    Of the notes, only that nothing was evaluated.
    """
    for issue in issues(judged, source):
        if issue.level == "note" and issue.rule != UNEVALUATED:
            continue
        title = annotation_property(f"edgekit: {issue.title}")
        path, line = issue.place
        place = f"file={annotation_property(path)},line={line},title={title}"
        kind = "notice" if issue.level == "note" else issue.level
        yield f"::{kind} {place}::{annotation(issue.text)}"
