"""``[train.sweep]`` of the project file: which settings of a training are tried, and how often."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgekit.project.table import Table
from edgekit.project.units import Seconds

Value = bool | int | float | str


class RangeTable(Table):
    """A number of ``[train.sweep]``: whole, where its bounds are whole numbers."""

    low: int | float
    """The least. ``low = 16``, ``high = 128``"""
    high: int | float
    """The most. ``low = 16``, ``high = 128``"""
    log: bool = False
    """As many values are tried of each order of magnitude.

    ``low = 16``, ``high = 128``, ``log = true``
    """
    step: int | float | None = Field(default=None, gt=0)
    """Only values so far apart. ``low = 16``, ``high = 128``, ``step = 16``"""

    @model_validator(mode="after")
    def _ordered(self) -> RangeTable:
        if self.high <= self.low:
            raise ValueError("high is not above low")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log takes a low above 0, and no step")
        return self

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        bounds = (self.low, self.high, self.step or 1)
        return all(isinstance(bound, int) for bound in bounds)


Choices = Annotated[tuple[Value, ...], Field(min_length=1)]
Space = RangeTable | Choices


class SweepTable(Table):
    """``[train.sweep]``: trainings with other settings, to find the best ones: edgekit sweep."""

    trials: int = Field(default=20, ge=1, le=100_000, strict=True)
    """How many settings are tried. ``trials = 20``"""
    time_limit: Seconds | None = Field(default=None, gt=0)
    """No trial begins after so much time in trials. Default: none. ``time_limit = "2 h"``"""
    figure: str | None = None
    """The figure of an epoch that is to be best, of the epoch whose weights are kept. Default: that
    of best, else val_loss. ``figure = "val_accuracy"``
    """
    figure_is: Literal["highest", "lowest"] | None = None
    """Which value of it is the best. Default: as its name tells.

    ``figure = "val_mine"``, ``figure_is = "highest"``
    """
    sampler: Literal["tpe", "random"] = "tpe"
    """How settings are chosen: by those before, or at random. ``sampler = "random"``"""
    seed: int = Field(default=0, ge=0)
    """Seed of that choice. ``seed = 1``"""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    """Each trial is trained with each of these seeds, and the mean of its figures counts. Default:
    the training's seed alone. ``seeds = [0, 1, 2]``
    """
    settings: dict[str, Space] = Field(default_factory=dict)
    """Keys of [train], and the values to try: a range, or a list.

    ``settings = { batch_size = [32, 64], "learning_rate.start" = { low = 0.001, high = 0.1 } }``
    """
    arguments: dict[str, Space] = Field(default_factory=dict)
    """Arguments of the function that builds the model, likewise.

    ``arguments = { units = { low = 16, high = 128, step = 16 } }``
    """

    @model_validator(mode="after")
    def _worth_trying(self) -> SweepTable:
        for key in self.settings:
            if key.split(".")[0] in ("sweep", "seed", "tensorboard", "save_every", "keep_states"):
                raise ValueError(f"settings: {key} is nothing to try")
        return self
