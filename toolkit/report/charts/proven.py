"""What may be said of two models: that one is better only where the intervals show it."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.report.charts.run import Model
from edgekit.types import Measurement


def faster(model: Model, other: Model) -> bool:
    """Tell whether one is proven faster: its median's interval ends below the other's, or the
    ratio of both, timed in turns, lies on one side of 1.

    Only the ratio to the reference is measured, so it counts where one of the two is that.
    """
    if other.is_reference and below(model.ratio, 1.0):
        return True
    if model.is_reference and above(other.ratio, 1.0):
        return True
    return apart(_median(model), _median(other))


def loses_least(models: Sequence[Model]) -> Model | None:
    """Return the model whose drop is proven less than that of every other, if any is."""
    return next(
        (one for one in models if all(one is o or apart(one.drop, o.drop) for o in models)), None
    )


def apart(low: Measurement | None, high: Measurement | None) -> bool:
    """Tell whether the interval of one ends below the other's; without intervals nothing is."""
    if low is None or high is None or low.high is None or high.low is None:
        return False
    return low.high < high.low


def below(measured: Measurement | None, value: float) -> bool:
    """Tell whether a whole interval lies below a value."""
    return measured is not None and measured.high is not None and measured.high < value


def above(measured: Measurement | None, value: float) -> bool:
    """Tell whether a whole interval lies above a value."""
    return measured is not None and measured.low is not None and measured.low > value


def _median(model: Model) -> Measurement | None:
    return model.latency.p50 if model.latency is not None else None
