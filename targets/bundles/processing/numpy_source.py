"""Pre- and postprocessing in numpy, the reference: ``model_spec.py`` beside ``edgekit_values.py``
and its like.
"""

from __future__ import annotations

import pprint
from collections.abc import Mapping
from dataclasses import asdict

from edgekit.targets.bundles.processing.library import MADE_BY, library
from edgekit.targets.bundles.processing.spec import Spec

CONSTANTS = "model_spec.py"
PARTS = {
    "values": "edgekit_values.py",
    "pictures": "edgekit_pictures.py",
    "boxes": "edgekit_boxes.py",
    "signals": "edgekit_signals.py",
}


def files(spec: Spec, name: str) -> Mapping[str, bytes]:
    """Return the constants of a model and the library's files that it uses, by file name."""
    placed = library("numpy", spec, PARTS)
    facts = asdict(spec)
    lines = [f"# {MADE_BY.format(name=ascii(name)[1:-1])}"]
    for key in ("inputs", "outputs", "labels", "answers", "boxes", "signal"):
        held = list(facts[key]) if isinstance(facts[key], tuple) else facts[key]
        lines.append(f"{key.upper()} = {pprint.pformat(held, width=99, sort_dicts=False)}")
    placed[CONSTANTS] = ("\n".join(lines) + "\n").encode()
    return placed
