"""Bundles: one module per layout, found by the name that the catalog's targets give it.

A layout module has ``files(target, contents) -> {path: bytes}``: what the platform needs besides
the model, the manifest and the golden pairs.
"""

from edgekit.targets.bundles.archive import Answers, Contents, Golden, pack
from edgekit.targets.bundles.verify import Verified, verify

__all__ = ["Answers", "Contents", "Golden", "Verified", "pack", "verify"]
