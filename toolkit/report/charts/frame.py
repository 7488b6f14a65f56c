"""The frame that charts share, and the model that a row or a point of one stands for."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.types import Status


@dataclass(frozen=True)
class Chart:
    """A chart of a run; ``text`` states the finding in a sentence."""

    title: str
    text: str


@dataclass(frozen=True)
class ModelChart(Chart):
    """A chart of one model."""

    model: str


@dataclass(frozen=True, kw_only=True)
class ModelMark:
    """What stands for a model in a chart of several; ``ships`` names the targets that ship it."""

    model: str
    status: Status
    ships: tuple[str, ...] = ()
    is_reference: bool = False
