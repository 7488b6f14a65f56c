"""How a class per pixel looks."""

from __future__ import annotations

import numpy as np

from .look import Look, shown


def class_per_place(look: Look) -> str | None:
    """Class numbers, or one-hot rows, over a grid that the output has too."""
    if look.labels is None or len(look.sizes) < 2 or look.single:
        return None
    given, sizes = look.labels.shape[1:], look.sizes
    if look.integers:
        if look.whole and _fits(sizes, given):
            return (
                f"labels and outputs are a class per place: {shown(given)} of {look.labels.dtype}"
            )
        return None
    grid, scores = sizes[:-1], sizes[-1] or 1
    said = f"the output gives {scores} values for each of these places{look.ends}"
    if look.whole and scores > 1 and _fits(grid, given):
        return f"labels are a class per place {shown(given)}, and {said}"
    if scores > 1 and _fits(sizes, given) and look.binary and len(grid) > 1:
        rows = np.asarray(look.labels).reshape(-1, scores)
        if (rows.sum(axis=1) <= 1).all():
            return f"labels are a one-hot row per place {shown(given)}, and {said}"
    single = scores == 1 and (_fits(grid, given) or _fits(sizes, given))
    if single and look.binary:
        return f"labels are 0 or 1 per place {shown(given)}, and {said}"
    return None


def _fits(sizes: tuple[int | None, ...], given: tuple[int, ...]) -> bool:
    """Tell whether labels have the output's places, with or without a last dimension of 1."""
    return any(
        len(sizes) == len(one)
        and all(size in (None, own) for size, own in zip(sizes, one, strict=True))
        for one in (given, given[:-1] if given[-1:] == (1,) else (), (*given, 1))
    )
