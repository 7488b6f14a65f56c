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
    pattern: str | None = Field(default=None, pattern=r"^[1-9]\d*:[1-9]\d*$")
    block: tuple[int, int] = (1, 1)
    schedule: Literal["polynomial", "constant"] = "polynomial"
    types: dict[str, Sparsity] = Field(default_factory=dict)
    layers: dict[str, Sparsity] = Field(default_factory=dict)

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
    initialization: Literal["kmeans++", "density", "linear", "random"] = "kmeans++"
    per_channel: bool = False
    types: dict[str, Clusters] = Field(default_factory=dict)
    layers: dict[str, Clusters] = Field(default_factory=dict)


class QuantizationAwareTable(Table):
    """``[compress] quantization_aware``: layers to leave in float, by class and by name pattern."""

    types: dict[str, bool] = Field(default_factory=dict)
    layers: dict[str, bool] = Field(default_factory=dict)


class ChannelsTable(Table):
    """``[compress] channels``: the share of multiply-accumulates to remove, and how."""

    macs: float = Field(gt=0, lt=1)
    multiple: int = Field(default=8, ge=1)
    importance: Literal["l1", "taylor"] = "l1"
    allocation: Literal["global", "uniform"] = "global"
    objective: Literal["macs", "latency"] = "macs"


class DistillTable(Table):
    """``[compress.finetune] distill``: learn from the uncompressed model's answers too.

    Source: Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network".
    """

    temperature: float = Field(default=4.0, gt=0)
    weight: float = Field(default=0.5, gt=0, le=1)


class FinetuneTable(Table):
    """``[compress.finetune]``: how accuracy is won back after each scheme."""

    optimizer: str = "adam"
    learning_rate: float | None = Field(default=None, gt=0)
    loss: str | None = None
    patience: int | None = Field(default=None, ge=1)
    distill: DistillTable | None = None

    @field_validator("distill", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return switched(value)


class PluginTable(BaseModel):
    """The settings of another package's scheme, which alone knows what they may be."""

    model_config = ConfigDict(extra="allow", frozen=True)


class CompressTable(Table):
    """``[compress]``: the schemes, applied in the order channels, prune, cluster, those of plug-ins
    (which are ``plugged``), quantize.
    """

    channels: ChannelsTable | None = None
    prune: PruneTable | None = None
    cluster: ClusterTable | None = None
    quantization_aware: QuantizationAwareTable | None = None
    plugged: dict[str, PluginTable] = Field(default_factory=dict)
    finetune_epochs: int = Field(default=2, ge=0, le=MOST_EPOCHS, strict=True)
    finetune: FinetuneTable = Field(default_factory=FinetuneTable)

    @model_validator(mode="before")
    @classmethod
    def _of_plugins(cls, values: Any, info: ValidationInfo) -> Any:
        """Set aside the tables of schemes that other packages add."""
        own = cls.model_fields
        if not isinstance(values, Mapping) or info.context == WRITTEN:
            return values
        if "plugged" in values:
            raise ValueError("'plugged' is no key: say [compress] SCHEME = { … }")
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
