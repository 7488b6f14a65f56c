"""What a page says of checks and waivers, read back in their units and held against its JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rendered import ReadPage, pointed

NUMBER = re.compile(r"(-?[\d,]+(?:\.\d+)?(?:e[-+]?\d+)?) ?(bytes|[\wµ%]*)")
FACTORS = {"ns": 1.0, "µs": 1e3, "ms": 1e6, "s": 1e9, "kB": 1e3, "MB": 1e6}
FACTORS |= dict.fromkeys(("points", "point", "%"), 0.01)
NONE = "–"
# At least so many digits of a number are written.
DIGITS = 3


def differences(page: ReadPage, document: Mapping[str, Any]) -> list[str]:
    """Say where the rows on checks and waivers are not those of a ``report.json``, if anywhere."""
    shown = {row["at"] for row in page.checks}
    missing = [f"{at} is not shown" for at in _expected(document) if at not in shown]
    return missing + [
        f"{row['at']}: {said}" for row in page.checks for said in _wrong(row, document)
    ]


def _expected(document: Mapping[str, Any]) -> Iterator[str]:
    for number, check in enumerate(document["verdict"]["checks"]):
        if check["stated"] or check["status"] != "unavailable":
            yield f"/verdict/checks/{number}"
    for number, target in enumerate(document.get("targets", ())):
        yield from (f"/targets/{number}/checks/{at}" for at in range(len(target["checks"])))
    waivers = document["settings"].get("waivers", ())
    yield from (f"/settings/waivers/{number}" for number in range(len(waivers)))


def _wrong(row: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    found = pointed(document, row["at"])
    if "/waivers/" in row["at"]:
        yield from _waiver(row, found, document["verdict"]["checks"])
        return
    parts = {name: part.strip() for name, part in row.items() if isinstance(part, str)}
    parts = {name: "" if part == NONE else part for name, part in parts.items()}
    if "status" in parts and not parts["status"].endswith(found["status"]):
        yield f"{parts['status']} is {found['status']}"
    if "limit" in parts:
        yield from _limit(parts["limit"], found)
    if "found" in parts:
        yield from _figure(parts["found"], parts.get("interval", ""), found)
        yield from _margin(parts.get("margin", ""), found)
    if "bar value" in row:
        yield from _bar(row, found)


def _waiver(row: Mapping[str, str], found: Any, checks: list[Any]) -> Iterator[str]:
    used = any(check["waiver"] and check["waiver"]["reason"] == found["reason"] for check in checks)
    where = f"{found['target'] or 'any target'}, {found['candidate'] or 'any candidate'}"
    expected = {name: found[name] for name in ("check", "expires", "reason")}
    expected |= {"where": where, "used": "yes" if used else "no check needs it"}
    yield from (
        f"{row[name]!r} is {text!r}" for name, text in expected.items() if row[name] != text
    )


def _limit(text: str, check: Any) -> Iterator[str]:
    if text != check["limit"]:
        yield f"limit {text!r} is {check['limit']!r}"
    if text and check["bound"] is not None and not _is(text, check["bound"]["value"]):
        yield f"limit {text!r} is {check['bound']['value']}"


def _figure(text: str, interval: str, check: Any) -> Iterator[str]:
    measured = check["measured"] or {}
    value, low, high = (measured.get(name) for name in ("value", "low", "high"))
    if value is None:
        if text != check["message"].removeprefix("unavailable, because "):
            yield f"{text!r} is {check['message']!r}"
    elif not _is(text, value):
        yield f"{text!r} is {value}"
    ends = interval.split(" to ") if interval else [None, None]
    for end, bound, without in zip(ends, (low, high), ("-∞", "∞"), strict=True):
        if bound is None and end not in (None, without):
            yield f"{interval!r} has no such end"
        if bound is not None and (end is None or not _is(end, bound)):
            yield f"{interval!r} ends at {bound}"


def _margin(text: str, check: Any) -> Iterator[str]:
    """Hold a distance against figure and limit: its size, its side, its share of the limit."""
    measured, bound = check["measured"] or {}, check["bound"]
    value = measured.get("value")
    if value is None or bound is None:
        if text:
            yield f"{text!r} of nothing"
        return
    limit, sign = bound["value"], -1 if bound["at_least"] else 1
    end = measured.get("low" if bound["at_least"] else "high")
    over = sign * ((value if end is None else end) - limit)
    decided = check["status"] in ("failed", "incompatible", "waived")
    if decided or (check["status"] == "passed" and over > 0):
        over = sign * (value - limit)
    side = {True: ("below", "above"), False: ("over", "under")}[bound["at_least"]][over < 0]
    first, *share = text.split(" (")
    if over == 0:
        if text != "exactly at the limit":
            yield f"{text!r} is 0 {side}"
    elif not first.endswith(side) or not _is(first, abs(over)):
        yield f"{text!r} is {abs(over)} {side}"
    elif share and not _is(share[0], abs(over / limit)):
        yield f"{text!r} is {abs(over / limit):.1%} of the limit"


def _bar(row: Mapping[str, Any], check: Any) -> Iterator[str]:
    """Hold a bar's places against the numbers, of which they are a linear function."""
    measured, limit = check["measured"], check["bound"]["value"]
    start, width = row["bar value"]
    ends = zip(row.get("bar range", ()), (measured["low"], measured["high"]), strict=False)
    places = [(place, number) for place, number in ends if number is not None]
    # One that begins at the edge begins at zero, else it is a point, as wide as can be seen.
    places += (
        [(0.0, 0.0), (width, measured["value"])] if start == 0 else [(start, measured["value"])]
    )
    (at,) = set(row["bar limit"][:1])
    slopes = [(at - place) / (limit - number) for place, number in places if number != limit]
    if slopes and max(slopes) > 1.02 * min(slopes) + 1e-9:
        yield f"the bar's places {row['bar value']} {row['bar limit']} are not {measured}, {limit}"


def _is(text: str, value: float) -> bool:
    """Tell whether a text has a number as its first one, in its unit and as rounded as it is."""
    match = NUMBER.search(text)
    if match is None:
        return False
    digits, unit = match.groups()
    number = float(digits.replace(",", "")) * FACTORS.get(unit, 1.0)
    if unit in ("B", "bytes") or not value:
        return number == value
    half = 0.5 * 10.0 ** (math.floor(math.log10(abs(value))) - DIGITS + 1)
    return abs(number - value) <= 1.001 * half
