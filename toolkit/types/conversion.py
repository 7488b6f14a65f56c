"""What a target asks of the converter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Conversion:
    """How files for a target are made: what its runtimes ask of the converter.

    ``profile`` names it in a candidate's id where it changes the file. Without
    ``per_channel_dense`` a dense layer with float activations has one scale, not one a channel:
    what TFLite before 2.17 runs. ``operator_set`` "int8" admits only precisions that are integer
    throughout. ``flex`` admits TensorFlow's own operators, ``custom_operators`` those named.
    ``refuses`` gives the reason by precision, and ``because`` that of all but ``only``.
    """

    profile: str = ""
    per_channel_dense: bool = True
    granularity: Literal["per-channel", "per-tensor"] = "per-channel"
    operator_set: Literal["all", "int8"] = "all"
    flex: bool = False
    custom_operators: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    because: str = ""
