"""The trials of a sweep: trainings with other settings, and which are the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Trial:
    """One setting that was tried: by name what was set, the figure it came to, else the problem.

    Names are keys of ``[train]``; those of the model's arguments begin with ``model.``.
    """

    number: int
    parameters: Mapping[str, bool | int | float | str]
    value: float | None
    epochs: int
    seconds: float
    problem: str = ""


@dataclass(frozen=True)
class Sweep:
    """What a sweep came to: its trials, which is the best, and its settings as TOML to paste.

    ``figure`` is what they are judged by; ``journal`` is the file that it goes on from.
    """

    name: str
    figure: str
    highest: bool
    trials: tuple[Trial, ...]
    best: int | None
    toml: str
    journal: Path
