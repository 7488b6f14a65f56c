"""Bundles: one module per layout, found by the name that the catalog's targets give it.

:class:`Layout` says what such a module has.
"""

from edgekit.targets.bundles.archive import (
    LAYOUTS,
    Answers,
    Contents,
    Family,
    Gate,
    Golden,
    Layout,
    Licence,
    pack,
    unpackable,
)
from edgekit.targets.bundles.delta import (
    apply_delta,
    delta_size,
    is_whole_delta,
    make_delta,
    model_delta,
    read_model,
)
from edgekit.targets.bundles.description import sizes_of
from edgekit.targets.bundles.kept import keep, read_kept
from edgekit.targets.bundles.signing import (
    SigningKey,
    TrustedKey,
    new_key,
    read_key,
    read_trusted,
)
from edgekit.targets.bundles.verify import (
    OpenedBundle,
    Verified,
    is_whole,
    open_bundle,
    read_bundle_manifest,
    verify,
)

__all__ = [
    "LAYOUTS",
    "Answers",
    "Contents",
    "Family",
    "Gate",
    "Golden",
    "Layout",
    "Licence",
    "OpenedBundle",
    "SigningKey",
    "TrustedKey",
    "Verified",
    "apply_delta",
    "delta_size",
    "is_whole",
    "is_whole_delta",
    "keep",
    "make_delta",
    "model_delta",
    "new_key",
    "open_bundle",
    "pack",
    "read_bundle_manifest",
    "read_kept",
    "read_key",
    "read_model",
    "read_trusted",
    "sizes_of",
    "unpackable",
    "verify",
]
