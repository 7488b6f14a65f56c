"""Figures of past runs: kept as small lines of JSON, read back as trends with their steps."""

from edgekit.history.book import BOOK, add, read
from edgekit.history.commits import Commit, author, commit_of, commits_between
from edgekit.history.entry import HistoryEntry, entries
from edgekit.history.trends import Point, Trend, trends

__all__ = [
    "BOOK",
    "Commit",
    "HistoryEntry",
    "Point",
    "Trend",
    "add",
    "author",
    "commit_of",
    "commits_between",
    "entries",
    "read",
    "trends",
]
