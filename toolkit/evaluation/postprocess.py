"""The user's own post-processing, ``file.py:function(outputs) -> y_pred``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import usercode
from edgekit.errors import ProjectError

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]
Hook = Callable[[Outputs], Array]
CODE = "EK-PROJECT-042"
BLOCK = 256
HINT = "return numbers, one answer per item, items first"
TEXTS = "return strings, one per item"


def resolve(name: str, root: Path, texts: bool = False) -> Hook:
    """Return the function that ``name`` is; it gets a block of items, outputs by name, items first.

    What it returns is checked: numbers, or ``texts``, one answer ``[...]`` per item. Raises
    :class:`ProjectError` where there is no such function, it raises, or returns anything else.
    """
    function = usercode.resolve(name, root)

    def call(outputs: Outputs) -> Array:
        n = max(len(array) for array in outputs.values())
        with usercode.user_errors(name):
            returned = function(dict(outputs))
        try:
            answer = np.asarray(returned)
        except ValueError as error:
            message = f"{name} returned no array ({usercode.place(function)}): {error}"
            raise ProjectError(CODE, message, HINT) from error
        kinds = "U" if texts else "iubf"
        if answer.dtype.kind not in kinds or answer.ndim == 0 or len(answer) != n:
            what = f"{answer.dtype} {list(answer.shape)} for {n} items"
            message = f"{name} returned {what} ({usercode.place(function)})"
            raise ProjectError(CODE, message, TEXTS if texts else HINT)
        return answer

    return call


def applied(function: Hook, outputs: Outputs) -> Array:
    """Return the function's answers for all items, called for some items at a time, in order.

    Raises :class:`ProjectError` where answers differ in shape from block to block.
    """
    n = max(len(array) for array in outputs.values())
    parts = [
        function({name: np.asarray(array[at : at + BLOCK]) for name, array in outputs.items()})
        for at in range(0, n, BLOCK)
    ]
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        message = f"post-processing gives answers of several shapes: {sorted(map(list, shapes))}"
        raise ProjectError(CODE, message, "every item's answer has the same shape")
    return np.concatenate(parts)
