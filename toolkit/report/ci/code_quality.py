"""GitLab's code quality report: the same findings in the subset of Code Climate's format."""

from __future__ import annotations

import hashlib
import json

from edgekit.report.ci.escaping import plain_text
from edgekit.report.ci.issues import Level, issues
from edgekit.report.ci.judged import Judged
from edgekit.report.ci.source import Source

SEVERITIES: dict[Level, str] = {"error": "critical", "warning": "minor", "note": "info"}


def code_quality(judged: Judged, source: Source) -> bytes:
    """Return the checks that are not passed, and the notes, as a code quality report."""
    entries = []
    seen: dict[str, int] = {}
    for issue in issues(judged, source):
        same = f"{issue.rule}\n{issue.subject}\n{issue.title}"
        # GitLab drops all but one of the findings with one fingerprint.
        seen[same] = seen.get(same, 0) + 1
        path, line = issue.place
        number = f"\n{seen[same]}" if seen[same] > 1 else ""
        entries.append(
            {
                "description": plain_text(f"{issue.title}: {issue.text}"),
                "check_name": issue.rule,
                "fingerprint": hashlib.sha256(f"{same}{number}".encode()).hexdigest(),
                "severity": SEVERITIES[issue.level],
                "location": {"path": path, "lines": {"begin": line}},
            }
        )
    return (json.dumps(entries, indent=2, ensure_ascii=False) + "\n").encode()
