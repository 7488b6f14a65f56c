"""A run as files and on the terminal: JSON, Markdown, JUnit, and the table."""

from edgekit.report.document import from_json, read, to_json
from edgekit.report.files import junit, summary, write
from edgekit.report.table import table, verdict_lines
from edgekit.report.words import path

__all__ = [
    "from_json",
    "junit",
    "path",
    "read",
    "summary",
    "table",
    "to_json",
    "verdict_lines",
    "write",
]
