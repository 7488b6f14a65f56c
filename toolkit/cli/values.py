"""Parse the values of options: sizes, numbers, drops, shares, pixels, times, shapes."""

from __future__ import annotations

from typing import Any

import click

SECONDS = {"ms": 1e-3, "s": 1, "min": 60, "m": 60, "h": 3600}


class Whole(click.IntRange):
    """A whole number within bounds."""

    # Click says what a value is not: "'x' is not a valid integer range".
    name = "whole number"


class Real(click.FloatRange):
    """A number within bounds."""

    name = "number"


def as_size(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Parse a size: ``150 kB``."""
    from edgekit.types.units import parse_size

    return parsed(parse_size, value)  # type: ignore[no-any-return]


def as_number(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Parse a number, or a fraction such as ``1/255``."""
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
    """Parse ``IN=OUT`` pairs: None without the option, no pair for ``none``."""
    if not value or value == ("none",):
        return {} if value else None
    pairs = {}
    for pair in value:
        name, _, other = pair.partition("=")
        if not (name and other):
            raise click.BadParameter(f"{pair!r} is not IN=OUT, an input's name and an output's")
        pairs[name.strip()] = other.strip()
    return pairs


def as_time(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Parse ``5 ms``, in nanoseconds."""
    from edgekit.project import TIMES
    from edgekit.types.units import parse_unit

    return parsed(lambda text: parse_unit(text, TIMES, "time"), value)  # type: ignore[no-any-return]


def as_seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Parse ``5m``, ``90 s``, or a plain number of seconds."""
    from edgekit.project import parse_number
    from edgekit.types.units import parse_unit

    if value is not None and value.replace(".", "", 1).isdecimal():
        return parsed(parse_number, value)
    scaled = {unit: round(size * 1000) for unit, size in SECONDS.items()}
    milliseconds = parsed(lambda text: parse_unit(text, scaled, "duration"), value)
    return None if milliseconds is None else milliseconds / 1000


def as_shapes(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    """Parse ``image=1,96,96,3`` as the input's name and its sizes."""
    shapes = {}
    for value in values:
        name, _, sizes = value.rpartition("=")
        parts = sizes.replace("x", ",").split(",")
        if not name or not all(part.strip().isdecimal() and int(part) for part in parts):
            raise click.BadParameter(f"{value!r} is not NAME=SIZES, such as image=1,96,96,3")
        shapes[name] = tuple(int(part) for part in parts)
    return shapes


class Threads(click.ParamType):  # type: ignore[type-arg]
    """``1,2`` or ``1,n``, where n is one per processor, as numbers; 0 stands for n."""

    name = "N,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        counts = []
        for part in str(value).split(","):
            if part.strip() != "n" and not (part.strip().isdecimal() and int(part)):
                self.fail(f"{part!r} is neither a number of threads nor 'n'", param, ctx)
            counts.append(0 if part.strip() == "n" else int(part))
        return tuple(dict.fromkeys(counts))
