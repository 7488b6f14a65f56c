"""What is watched of a training, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

# Of the time of training that looks may take, where nothing else is said. What is counted and kept
# at each step comes on top, and takes about 1 %.
SHARE = 0.04


@dataclass(frozen=True)
class Settings:
    """How a training is watched.

    ``every`` is the least number of steps between two looks at weights and gradients, and
    ``share`` of the training's time is what all looks together may take: they stretch their own
    interval where they would take more. ``items`` is how many items gradients, curves and
    embeddings are of, ``images`` how many of the worst are shown, ``profile`` how many steps are
    profiled. ``hyperparameters`` are what the HParams tab compares runs by, ``class_names`` what
    the classes are called, in the order of their numbers; without them these are shown.
    """

    every: int = 50
    share: float = SHARE
    items: int = 256
    images: int = 8
    profile: int = 0
    hyperparameters: Mapping[str, str | float | int | bool] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()

    def called(self, number: int) -> str:
        """Return what a class is called: its name on one line, else its number."""
        if 0 <= number < len(self.class_names):
            return " ".join(self.class_names[number].split())
        return str(number)


@dataclass(frozen=True)
class Watching:
    """How a training is watched, and where its logs go; none are written without a folder."""

    settings: Settings
    folder: Path | None = None

    def naming(self, class_names: tuple[str, ...]) -> Watching:
        """Return the same with names of classes, where the settings have none."""
        names = self.settings.class_names or class_names
        return replace(self, settings=replace(self.settings, class_names=names))
