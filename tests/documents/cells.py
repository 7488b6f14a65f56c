"""Cells of Markdown tables, as GitHub and the site both read them."""

from __future__ import annotations

import html
import re

CODE = re.compile(r"`([^`]*\|[^`]*)`")


def cell(text: str) -> str:
    """Return a cell whose bars are not the table: in code a backslash would be shown."""
    in_code = CODE.sub(lambda found: f"<code>{bars(html.escape(found[1], False))}</code>", text)
    return bars(in_code)


def bars(text: str) -> str:
    return text.replace("|", "&#124;")
