"""What a candidate's file tells a page: its bytes by tensor, and its operators."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.inspection import sizes
from edgekit.pipeline.details.parts import Parts
from edgekit.types.details import CandidateDetails


def with_file(details: CandidateDetails, path: Path, parts: Parts) -> CandidateDetails:
    """Add sizes and operators, as far as the file can be read."""
    file = parts.make("sizes", lambda: flatbuffer.read(path), None)
    if file is None:
        parts.absent["operators"] = parts.absent["sizes"]
        return details
    return replace(
        details,
        sizes=parts.make("sizes", lambda: sizes.sizes(file), None),
        operators=parts.make("operators", lambda: sizes.operators(file), None),
    )
