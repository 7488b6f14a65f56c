"""Parse option values: sizes, numbers, drops, shares, pixels."""

from __future__ import annotations

from typing import Any

import click


def as_size(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from edgekit.project import parse_size

    return parsed(parse_size, value)  # type: ignore[no-any-return]


def as_number(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from edgekit.project import parse_number

    return parsed(parse_number, value)


def as_drop(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Parse a drop: ``1%``, ``1pt`` or ``0.01``."""
    from edgekit.project import parse_drop

    return parsed(parse_drop, value)


def as_numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Parse a number, or one per channel: ``0.485,0.456,0.406``."""
    from edgekit.project import parse_numbers

    return parsed(parse_numbers, value)


def as_share(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Parse a share: ``0.5%`` or ``0.005``."""
    if value is None:
        return None
    text, percent, rest = value.partition("%")
    if rest.strip():
        raise click.BadParameter(f"{value!r} is not a share such as 0.5%")
    number: float = as_number(context, parameter, text.strip())
    share = number / 100 if percent else number
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{value!r} is not a share from 0% to 100%")
    if not percent and share > 0.5:
        raise click.BadParameter(f"{value} is ambiguous: write {share:.4g}% or {100 * share:.4g}%")
    return share


def parsed(parse: Any, value: str | None) -> Any:
    """Parse a value where there is one; a ValueError becomes an error of the option."""
    try:
        return None if value is None else parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def as_pixels(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Parse ``96x128`` as height and width."""
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise click.BadParameter(f"{value!r} is not HEIGHTxWIDTH, such as 96x96")
    return [int(part) for part in parts]


def as_pruning(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Parse ``0.5`` as a sparsity, ``2:4`` as a pattern."""
    if value is None or ":" in value:
        return None if value is None else {"pattern": value}
    share = as_number(context, parameter, value)
    if not 0 < share < 1:
        raise click.BadParameter(f"{value} is not in the range 0<x<1")
    return {"sparsity": share}


def as_pairs(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, str] | None:
    """Return what ``NAME=OTHER`` says by name; nothing where nothing is said, no pair for
    ``none``.
    """
    if not value or value == ("none",):
        return {} if value else None
    pairs = [one.partition("=") for one in value]
    for given, (name, equals, other) in zip(value, pairs, strict=True):
        if not (name and equals and other):
            raise click.BadParameter(f"{given!r} is not IN=OUT, an input's name and an output's")
    return {name.strip(): other.strip() for name, _, other in pairs}
