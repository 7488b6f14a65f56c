"""``[compress]`` of the project file: the schemes, their scopes, and how accuracy is recovered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edgekit.plugins import installed
from edgekit.project.table import Table
from edgekit.project.units import MOST_EPOCHS, WRITTEN


def _share_or_false(value: Any) -> Any:
    if value is False or (isinstance(value, (int, float)) and value is not True and 0 < value < 1):
        return value
    raise ValueError(f"{value!r} is neither a share between 0 and 1 nor false")


def _count_or_false(value: Any) -> Any:
    if value is False or (isinstance(value, int) and value is not True and value >= 2):
        return value
    raise ValueError(f"{value!r} is neither a number of at least 2 nor false")


# What a scope sets; ``false`` leaves a layer as it is.
Sparsity = Annotated[float | Literal[False], BeforeValidator(_share_or_false)]
Clusters = Annotated[int | Literal[False], BeforeValidator(_count_or_false)]


class PruneTable(Table):
    """``[compress] prune``: a share of zeros, or N zeros in every M weights (``pattern``).

    ``types`` and ``layers`` set another sparsity, or ``false``, by layer class and by name pattern;
    what is said later wins.
    """

    sparsity: float | None = Field(default=None, gt=0, lt=1)
    """Share of the weights that become zero. ``sparsity = 0.5``"""
    pattern: str | None = Field(default=None, pattern=r"^[1-9]\d*:[1-9]\d*$")
    """N zeros in every M weights along the input channels, in place of sparsity.

    ``pattern = "2:4"``
    """
    block: tuple[int, int] = (1, 1)
    """Zeros in blocks of this height and width. ``block = [1, 4]``"""
    schedule: Literal["polynomial", "constant"] = "polynomial"
    """Reach the sparsity step by step, or at once. ``schedule = "polynomial"``"""
    types: dict[str, Sparsity] = Field(default_factory=dict)
    """Another sparsity by class of layer; false leaves it alone. ``types = { Dense = 0.8 }``"""
    layers: dict[str, Sparsity] = Field(default_factory=dict)
    """Another sparsity by name pattern; the last that fits wins.

    ``layers = { "block_1_*" = 0.3, head = false }``
    """

    @model_validator(mode="after")
    def _one_way(self) -> PruneTable:
        if (self.sparsity is None) == (self.pattern is None):
            raise ValueError('give either sparsity = 0.5 or pattern = "2:4"')
        if self.pattern and self.n_of_m[0] >= self.n_of_m[1]:
            raise ValueError(f"pattern {self.pattern!r} leaves no weight: N:M needs N below M")
        if self.block != (1, 1) and (self.pattern or min(self.block) < 1):
            raise ValueError("block takes two positive sizes, and goes with sparsity")
        if (self.pattern and any(self.types.values())) or (
            self.pattern and any(self.layers.values())
        ):
            raise ValueError("with a pattern, types and layers can only say false")
        return self

    @property
    def n_of_m(self) -> tuple[int, int]:
        """Zeros, and out of how many weights; (0, 0) without a pattern."""
        zeros, _, weights = (self.pattern or "0:0").partition(":")
        return int(zeros), int(weights)

    @property
    def share(self) -> float:
        """The share of weights to be zero, where no scope says otherwise."""
        zeros, weights = self.n_of_m
        return self.sparsity if self.sparsity is not None else zeros / weights


class ClusterTable(Table):
    """``[compress] cluster``: how many different weights a layer keeps; scopes as in prune."""

    clusters: int = Field(ge=2)
    """How many different weights a layer keeps. ``clusters = 16``"""
    initialization: Literal["kmeans++", "density", "linear", "random"] = "kmeans++"
    """How the first centroids are found. ``initialization = "kmeans++"``"""
    per_channel: bool = False
    """Clusters of their own for each channel. ``per_channel = true``"""
    types: dict[str, Clusters] = Field(default_factory=dict)
    """Another number by class of layer; false leaves it alone. ``types = { Dense = 32 }``"""
    layers: dict[str, Clusters] = Field(default_factory=dict)
    """Another number by name pattern; the last that fits wins.

    ``layers = { "block_1_*" = 32, head = false }``
    """


class QuantizationAwareTable(Table):
    """``[compress] quantization_aware``: layers to leave in float, by class and by name pattern."""

    types: dict[str, bool] = Field(default_factory=dict)
    """Classes of layers to leave in float. ``types = { Dense = false }``"""
    layers: dict[str, bool] = Field(default_factory=dict)
    """Layers to leave in float, by name pattern. ``layers = { head = false }``"""


class ChannelsTable(Table):
    """``[compress] channels``: the share of multiply-accumulates to remove, and how."""

    macs: float = Field(gt=0, lt=1)
    """Share of the multiply-accumulates to remove. ``macs = 0.5``"""
    multiple: int = Field(default=8, ge=1)
    """Channel counts stay multiples of this. ``multiple = 8``"""
    importance: Literal["l1", "taylor"] = "l1"
    """Which channels go first: by their weights, or by their effect on the loss.

    ``importance = "taylor"``
    """
    allocation: Literal["global", "uniform"] = "global"
    """The least important channels of all layers, or the same share of each.

    ``allocation = "global"``
    """
    objective: Literal["macs", "latency"] = "macs"
    """What is to shrink: multiply-accumulates, or measured time. ``objective = "latency"``"""


class DistillTable(Table):
    """``[compress.finetune] distill``: learn from the uncompressed model's answers too.

    Source: Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network".
    """

    temperature: float = Field(default=4.0, gt=0)
    """What the logits are divided by. ``temperature = 4``"""
    weight: float = Field(default=0.5, gt=0, le=1)
    """Share of the loss that comes from the uncompressed model's answers. ``weight = 0.5``"""


class FinetuneTable(Table):
    """``[compress.finetune]``: how accuracy is won back after each scheme."""

    optimizer: str = "adam"
    """Any of Keras's, by name. ``optimizer = "adam"``"""
    learning_rate: float | None = Field(default=None, gt=0)
    """Where it begins; it falls to zero along a half cosine. Default: by scheme.

    ``learning_rate = 0.001``
    """
    loss: str | None = None
    """Keras's name, or your function. Default: by labels and outputs.

    ``loss = "losses.py:mine"``
    """
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many epochs without a better score. Default: never. ``patience = 3``"""
    strategy: Literal["default", "mirrored", "multi_worker"] | None = None
    """How it is spread over devices and processes. Default: as [train] strategy.

    ``strategy = "default"``
    """
    distill: DistillTable | None = None
    """Learn from the uncompressed model's answers too; true takes the defaults.

    ``distill = { temperature = 4, weight = 0.5 }``
    """

    @field_validator("distill", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return switched(value)


class PluginTable(BaseModel):
    """The settings of another package's scheme, which alone knows what they may be."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class CompressTable(Table):
    """``[compress]``: the schemes, applied in the order channels, prune, cluster, those of plug-ins
    under their own names, quantize.
    """

    channels: ChannelsTable | None = None
    """Remove whole channels. ``channels = { macs = 0.5 }``"""
    prune: PruneTable | None = None
    """Set weights to zero. ``prune = { sparsity = 0.5 }``"""
    cluster: ClusterTable | None = None
    """Keep few different weights. ``cluster = { clusters = 16 }``"""
    quantization_aware: QuantizationAwareTable | None = None
    """Train with the rounding of int8; true takes the defaults. ``quantization_aware = true``"""
    plugged: dict[str, PluginTable] = Field(default_factory=dict)
    finetune_epochs: int = Field(default=2, ge=0, le=MOST_EPOCHS, strict=True)
    """Epochs of training after each scheme. ``finetune_epochs = 2``"""
    finetune: FinetuneTable = Field(default_factory=FinetuneTable)
    """How accuracy is won back after each scheme.

    ``finetune = { optimizer = "adam", patience = 3 }``
    """

    @model_validator(mode="before")
    @classmethod
    def _of_plugins(cls, values: Any, info: ValidationInfo) -> Any:
        """Set aside the tables of schemes that other packages add."""
        own = cls.model_fields
        if not isinstance(values, Mapping) or info.context == WRITTEN:
            return values
        if "plugged" in values:
            raise ValueError("'plugged' is not a key: say [compress] SCHEME = { … }")
        known = {one.name for one in installed() if one.group == "edgekit.schemes"} - own.keys()
        plugged = {name: switched(values[name]) for name in values if name in known}
        rest = {name: value for name, value in values.items() if name not in known}
        asked = {name: table for name, table in plugged.items() if table is not None}
        return {**rest, "plugged": asked} if asked else rest

    @field_validator("quantization_aware", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return switched(value)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The names of the schemes asked for, in the order they are applied."""
        names = ("channels", "prune", "cluster", *self.plugged, "quantization_aware")
        return tuple(name for name in names if self.table_of(name) is not None)

    def table_of(self, scheme: str) -> Table | PluginTable | None:
        """Return the settings of a scheme, where the file has them."""
        table: Table | PluginTable | None = self.plugged.get(scheme) or getattr(self, scheme)
        return table


def switched(value: Any) -> Any:
    """Return a table that may also be said as ``true`` or ``false``."""
    return {} if value is True else None if value is False else value
