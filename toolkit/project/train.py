"""``[train]`` of the project file: how a model of the user's own function is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from edgekit.project.table import Table
from edgekit.project.units import MOST_EPOCHS, MOST_ITEMS


class TensorBoardTable(Table):
    """``[train.tensorboard]``: what is logged of a training for TensorBoard, and how often."""

    logs: bool = True
    """Write logs under build/NAME/logs. ``logs = false``"""
    every: int = Field(default=50, ge=1, strict=True)
    """Least number of steps between two histograms of weights and gradients. ``every = 50``"""
    share: float = Field(default=0.05, gt=0, le=1)
    """Share of the training's time that watching may take: it looks less often where it would take
    more.

    ``share = 0.05``
    """
    items: int = Field(default=256, ge=1, strict=True)
    """Items that gradients, curves and embeddings are of. ``items = 256``"""
    images: int = Field(default=8, ge=0, strict=True)
    """How many of the worst items are shown as pictures. ``images = 8``"""
    profile: int = Field(default=0, ge=0, strict=True)
    """Steps to profile, from the eleventh on; its tab needs edgekit[profile]. ``profile = 5``"""


class TrainTable(Table):
    """``[train]``: how a model of your own function is trained."""

    epochs: int = Field(default=10, ge=1, le=MOST_EPOCHS, strict=True)
    """How often the training goes through the items. ``epochs = 10``"""
    batch_size: int = Field(default=64, ge=1, le=MOST_ITEMS, strict=True)
    """Items of one step. ``batch_size = 64``"""
    seed: int = Field(default=0, ge=0)
    """Seed of weights, order and dropout. ``seed = 0``"""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    """How much items of a class count: "balanced", or by class. ``class_weights = "balanced"``"""
    sample_weights: str | None = None
    """Column with how much each item counts. ``sample_weights = "weight"``"""
    augment: str | dict[str, Any] | None = None
    """Random changes in training only: layers of Keras and their first argument, or arguments; or a
    function that returns layers.

    ``augment = { RandomFlip = "horizontal", RandomRotation = 0.1 }``
    """
    deterministic: bool = False
    """End with the same weights, bit by bit, each time: slower kernels. ``deterministic = true``"""
    save_every: int | None = Field(default=None, ge=1, le=MOST_ITEMS, strict=True)
    """Save the state after so many steps, and after each epoch. Default: as often as costs little.

    ``save_every = 500``
    """
    keep_states: int = Field(default=2, ge=1, le=100, strict=True)
    """How many of the last states are kept while it trains. ``keep_states = 2``"""
    tensorboard: TensorBoardTable = Field(default_factory=TensorBoardTable)
    """What is logged for TensorBoard. ``tensorboard = { every = 100, profile = 5 }``"""
