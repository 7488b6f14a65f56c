"""A run as files and on the terminal: JSON, Markdown, JUnit, and the table."""

from edgekit.report.compression import compression_lines, compression_table, layer_table
from edgekit.report.document import from_json, name_of, plain, read, to_json
from edgekit.report.files import junit, summary, write
from edgekit.report.outputs import outputs_table
from edgekit.report.table import MARKS, result_lines, table, verdict_lines
from edgekit.report.words import path

__all__ = [
    "MARKS",
    "compression_lines",
    "compression_table",
    "from_json",
    "junit",
    "layer_table",
    "name_of",
    "outputs_table",
    "path",
    "plain",
    "read",
    "result_lines",
    "summary",
    "table",
    "to_json",
    "verdict_lines",
    "write",
]
