"""How labels and outputs of numbers look."""

from __future__ import annotations

import math

from .look import Look, shown


def one_each(look: Look) -> str | None:
    """Return one target per output value."""
    if look.labels is None or look.per_item.shape[1] != look.width:
        return None
    kind = look.labels.dtype
    return f"labels are numbers ({kind}), one for each value of the output {shown(look.sizes)}"


def gives_back(look: Look) -> str | None:
    """Return labels 0 or 1, and an output of the size of an input that is no pair of scores."""
    if look.labels is None or not look.single or not look.binary or look.width <= 2:
        return None
    for spec in look.inputs:
        if math.prod(size or 1 for size in spec.shape[1:]) == look.width and not look.last:
            return f"labels are 0 or 1, and the output has the size of the input {spec.name!r}"
    return None
