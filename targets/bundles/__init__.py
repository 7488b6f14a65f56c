"""Bundles: one module per layout, found by the name that the catalog's targets give it.

:class:`Layout` says what such a module has.
"""

from edgekit.targets.bundles.archive import (
    LAYOUTS,
    Answers,
    Contents,
    Golden,
    Layout,
    Licence,
    pack,
    unpackable,
)
from edgekit.targets.bundles.verify import Verified, verify

__all__ = [
    "LAYOUTS",
    "Answers",
    "Contents",
    "Golden",
    "Layout",
    "Licence",
    "Verified",
    "pack",
    "unpackable",
    "verify",
]
