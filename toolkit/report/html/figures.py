"""Numbers of a page: in the words of the terminal, and where ``report.json`` has them."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report import words
from edgekit.types import Measurement

# Numbers that no table of the terminal has in this form.
FORMATS = {"plain": "{:.3g}", "decibel": "{:.1f} dB", "cosine": "{:.5f}"}


@dataclass(frozen=True)
class Figure:
    """A number: its ``text``, its interval as ``note``, and ``why`` it is not there.

    ``at`` is the JSON pointer of the ``value`` in ``report.json``, ``form`` the way it is written.
    """

    text: str
    note: str = ""
    value: float | None = None
    at: str = ""
    form: str = ""
    why: str = ""


ABSENT = Figure(words.NONE)


def pointer(*names: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a place in ``report.json``."""
    return "".join(f"/{str(name).replace('~', '~0').replace('/', '~1')}" for name in names)


def score(measured: Measurement | None, bounded: bool, at: str) -> Figure:
    """Return a metric with its interval."""
    text, note = words.value(measured, bounded), words.interval(measured, bounded)
    return _figure(measured, text, at, "bounded" if bounded else "score", note)


def drop(measured: Measurement | None, bounded: bool, at: str) -> Figure:
    """Return a drop with its interval: points where the metric lies in 0..1."""
    text, note = words.points(measured, bounded), words.interval(measured, bounded)
    return _figure(measured, text, at, "points" if bounded else "drop", note)


def time(measured: Measurement | None, at: str) -> Figure:
    """Return nanoseconds."""
    return _figure(measured, words.duration(measured), at, "time")


def ratio(measured: Measurement | None, at: str) -> Figure:
    """Return a ratio with its interval."""
    if measured is None or measured.value is None:
        return _figure(measured, words.NONE, at, "ratio")
    text, note = f"x{measured.value:.3g}", words.interval(measured, False)
    return _figure(measured, text, at, "ratio", note)


def formatted(measured: Measurement | None, form: str, at: str) -> Figure:
    """Return a number as one of :data:`FORMATS` writes it."""
    if measured is None or measured.value is None:
        return _figure(measured, words.NONE, at, form)
    return _figure(measured, FORMATS[form].format(measured.value), at, form)


def memory(measured: Measurement | None, at: str) -> Figure:
    """Return the bytes of a measurement."""
    absent = measured is None or measured.value is None
    text = words.NONE if measured is None or absent else words.size(measured.value or 0)
    return _figure(measured, text, at, "size")


def size(count: int, at: str) -> Figure:
    """Return bytes, rounded as tables have them."""
    return Figure(words.size(count), value=count, at=at, form="size") if count else ABSENT


def exact(count: int, at: str) -> Figure:
    """Return every byte."""
    return Figure(words.exact(count), value=count, at=at, form="exact") if count else ABSENT


def _figure(measured: Measurement | None, text: str, at: str, form: str, note: str = "") -> Figure:
    if measured is None:
        return ABSENT
    if measured.value is None:
        return Figure(words.NONE, why=measured.reason)
    mark = words.ESTIMATE if measured.how == "estimated" else ""
    return Figure(f"{mark}{text}", note, measured.value, f"{at}/value", form)
