"""How labels and outputs of texts look."""

from __future__ import annotations

from .look import Look, shown


def of_tokens(look: Look) -> str | None:
    """Strings, or rows of token numbers that are no row per step of the output."""
    if look.labels is None:
        return None
    if look.labels.dtype.kind == "U":
        # Strings beside one row of scores are names of classes.
        if sum(size != 1 for size in look.sizes) < 2 and not look.integers:
            return None
        return f"labels are texts, and the output is {shown(look.sizes)}{look.ends}"
    steps, labels = look.sizes[:1], look.labels
    scored = len(look.sizes) == 2 and not look.integers and (look.sizes[1] or 0) > 1
    numbered = len(look.sizes) == 1 and look.integers
    if labels.ndim != 2 or labels.shape[1] < 2 or not (scored or numbered) or None in steps:
        return None
    if labels.shape[1] == steps[0] or not look.whole:
        return None
    top = int(labels.max())
    if top < 1 or (scored and top >= (look.sizes[1] or 0)) or _one_hot(look):
        return None
    said = (
        f"scores {look.sizes[1]} tokens at each of {steps[0]} steps"
        if scored
        else (f"gives {steps[0]} integers")
    )
    return f"labels are up to {labels.shape[1]} tokens, and the output {said}{look.ends}"


def _one_hot(look: Look) -> bool:
    return look.binary and bool((look.per_item.sum(axis=1) == 1).all())
