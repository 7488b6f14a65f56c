"""The user's own metric, ``file.py:function(y_true, y_pred) -> value | (value, per_item)``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import ProjectError
from edgekit.types import Direction
from edgekit.usercode import place, resolve, user_errors

from .metric import Array, Floats, Index, Metric, Statistic

CODE = "EK-PROJECT-041"


def user_metric(name: str, root: Path) -> Metric:
    """Return the metric that a function is, with what its attributes say.

    ``direction`` is "higher" unless it says "lower", ``bounded`` false, ``unit`` "1". Raises
    :class:`ProjectError` where there is no such function, or an attribute is not one of these.
    """
    function = resolve(name, root)
    direction: Direction = getattr(function, "direction", "higher")
    if direction not in ("higher", "lower"):
        message = f"{name}: direction is {direction!r}"
        raise ProjectError(CODE, message, 'say which is better: "higher" or "lower"')
    call = _Call(name, function)
    return Metric(
        name.rpartition(":")[2],
        direction,
        bounded=bool(getattr(function, "bounded", False)),
        unit=str(getattr(function, "unit", "1")),
        per_item=call.per_item,
        statistic=call.statistic,
    )


class _Call:
    """Calls of a user's function, whose answers are checked."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function

    def per_item(self, y_true: Array, y_pred: Array) -> Floats | None:
        """Return the scores per item, where the function gives any and their mean is its value."""
        value, scores = self._answer(y_true, y_pred)
        if scores is None or not np.isclose(scores.mean(), value, rtol=1e-5, atol=1e-9):
            return None
        return scores

    def statistic(self, y_true: Array, y_pred: Array) -> Statistic:
        def value(items: Index) -> float:
            return self._answer(y_true[items], y_pred[items])[0]

        return value

    def _answer(self, y_true: Array, y_pred: Array) -> tuple[float, Floats | None]:
        with user_errors(self.name):
            answer = self.function(y_true, y_pred)
        value, scores = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise self._wrong(f"returned {type(value).__name__} as its value") from error
        return number, None if scores is None else self._scores(scores, len(y_true))

    def _scores(self, scores: Any, n: int) -> Floats:
        try:
            numbers = np.asarray(scores, np.float64)
        except (TypeError, ValueError) as error:
            raise self._wrong("returned scores per item that are not numbers") from error
        if numbers.shape != (n,):
            raise self._wrong(f"returned scores per item of {list(numbers.shape)} for {n} items")
        if not np.isfinite(numbers).all():
            item = int(np.argmin(np.isfinite(numbers)))
            raise self._wrong(f"returned the score {numbers[item]} for item {item}")
        return numbers

    def _wrong(self, what: str) -> ProjectError:
        hint = "a metric returns a number, or a number and one score per item"
        return ProjectError(CODE, f"{self.name} {what} ({place(self.function)})", hint)
