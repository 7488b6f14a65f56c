"""Quantities and how they are known, statuses, and the shapes of what models take."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgekit.types.processing import Signal

Json = Any
How = Literal["measured", "estimated", "unavailable"]
Direction = Literal["higher", "lower"]


class Status(str, enum.Enum):
    """The outcome of a check, a candidate, a target or a verdict."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPATIBLE = "incompatible"
    UNAVAILABLE = "unavailable"
    INCONCLUSIVE = "inconclusive"
    NOT_EVALUATED = "not evaluated"
    WAIVED = "waived"


@dataclass(frozen=True)
class Measurement:
    """A quantity and how it is known.

    ``value`` is in ``unit``; ``low`` and ``high`` bound it at confidence ``level`` over ``n``
    items. With ``how = "unavailable"`` there is no value, and ``reason`` says why.
    """

    value: float | None
    unit: str
    how: How = "measured"
    n: int | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    tool: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.how == "unavailable" and not self.reason:
            raise ValueError("an unavailable measurement carries its reason")
        if (self.value is None) != (self.how == "unavailable"):
            raise ValueError("a measurement has a value unless it is unavailable")

    @classmethod
    def unavailable(cls, unit: str, reason: str) -> Measurement:
        return cls(value=None, unit=unit, how="unavailable", reason=reason)


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model: its name, shape (``None`` is a free dimension) and dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


# One number for all of an item, or one per channel.
PerChannel = float | tuple[float, ...]


@dataclass(frozen=True)
class Preprocess:
    """What happens to raw data before the model: ``x * scale + offset``, in float32.

    Both are one number, or one per channel: along the last axis where that has as many entries,
    else along the first after the items. Pictures are made ``color`` (``rgb``, ``bgr`` or
    ``grayscale``) and brought to ``resize`` (height, width) before that, once, when the data is
    opened: stretched, or with ``crop`` (``center``) the shorter side fitted and the centre taken.
    ``method`` is Pillow's filter by name, ``layout`` that of raw arrays where it is stated, and
    ``model_layout`` the model's: ``nhwc`` or ``nchw``. A ``signal`` becomes features, before scale
    and offset.
    """

    scale: PerChannel = 1.0
    offset: PerChannel = 0.0
    resize: tuple[int, int] | None = None
    crop: str | None = None
    color: str | None = None
    method: str = "bilinear"
    layout: str | None = None
    model_layout: str = "nhwc"
    signal: Signal | None = None

    @property
    def identity(self) -> bool:
        """Whether scale and offset change nothing."""
        return self.scale == 1.0 and self.offset == 0.0

    @property
    def channels(self) -> int | None:
        """For how many channels scale and offset are, where they are per channel."""
        counts = [len(one) for one in (self.scale, self.offset) if isinstance(one, tuple)]
        return counts[0] if counts else None

    @property
    def arithmetic(self) -> dict[str, Json]:
        """Scale and offset, as a runner's request and a store's key have them."""
        return {"scale": _plain(self.scale), "offset": _plain(self.offset)}

    @property
    def facts(self) -> dict[str, Json]:
        """Scale and offset, and of the rest what is set."""
        steps = self.arithmetic
        if self.resize is not None:
            steps |= {"resize": list(self.resize), "method": self.method}
        if self.crop is not None:
            steps["crop"] = self.crop
        if self.color is not None:
            steps["color"] = self.color
        if self.layout is not None:
            steps["layout"] = self.layout
        if self.model_layout != "nhwc":
            steps["model_layout"] = self.model_layout
        if self.signal is not None:
            steps["signal"] = asdict(self.signal)
        return steps


def _plain(value: PerChannel) -> Json:
    return list(value) if isinstance(value, tuple) else value
