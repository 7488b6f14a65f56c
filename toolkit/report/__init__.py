"""A run as files and on the terminal: JSON, Markdown, JUnit, and the table."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgekit.report.table import MARKS, result_lines, table, verdict_lines

if TYPE_CHECKING:
    from edgekit.report.compression import compression_lines as compression_lines
    from edgekit.report.compression import compression_table as compression_table
    from edgekit.report.compression import layer_table as layer_table
    from edgekit.report.document import from_json as from_json
    from edgekit.report.document import is_dry as is_dry
    from edgekit.report.document import name_of as name_of
    from edgekit.report.document import plain as plain
    from edgekit.report.document import read as read
    from edgekit.report.document import to_json as to_json
    from edgekit.report.files import junit as junit
    from edgekit.report.files import summary as summary
    from edgekit.report.files import write as write
    from edgekit.report.outputs import outputs_table as outputs_table
    from edgekit.report.words import path as path

__all__ = ["MARKS", "result_lines", "table", "verdict_lines"]
# Imported when first used: to read a report takes nothing of what draws it.
_ELSEWHERE = {
    "compression_lines": "compression",
    "compression_table": "compression",
    "from_json": "document",
    "is_dry": "document",
    "junit": "files",
    "layer_table": "compression",
    "name_of": "document",
    "outputs_table": "outputs",
    "path": "words",
    "plain": "document",
    "read": "document",
    "summary": "files",
    "to_json": "document",
    "write": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
