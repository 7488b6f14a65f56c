"""Versions on record: what was made of which data, what is champion, and how it became that."""

from edgekit.record.champion import DROP, SLOWDOWN, promotion_checks, verdict_of
from edgekit.record.promotions import Judged, Promotion
from edgekit.record.registry import CHAMPION, FOLDER, Registry
from edgekit.record.version import KeptFile, Lineage, ShippedTarget, Version

__all__ = [
    "CHAMPION",
    "DROP",
    "FOLDER",
    "SLOWDOWN",
    "Judged",
    "KeptFile",
    "Lineage",
    "Promotion",
    "Registry",
    "ShippedTarget",
    "Version",
    "promotion_checks",
    "verdict_of",
]
