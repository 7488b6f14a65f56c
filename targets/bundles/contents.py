"""What goes into a bundle: the model, what is known of it, and how its app is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.converters.micro.names import identifier
from edgekit.types import (
    BoxesSpec,
    CarriedState,
    Json,
    Measurement,
    Preprocess,
    RuntimeNeed,
    TensorSpec,
)

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
SCHEMA_VERSION = 1
MODEL = "model.tflite"
# The model as an NPU takes it, beside the file that was evaluated.
COMPILED = "model_npu.tflite"
LABELS, CARD, LICENCE, SBOM = "labels.txt", "MODEL_CARD.md", "LICENSE.txt", "sbom.cdx.json"
# What an app is called by until its maker says otherwise: example.com is nobody's.
EXAMPLE = "com.example"


@dataclass(frozen=True)
class Licence:
    """What the model may be used under: its SPDX id, its text, or both."""

    spdx: str = ""
    text: str = ""


@dataclass(frozen=True)
class Answers:
    """What the best class of each golden item is called; ``output`` scores the classes."""

    output: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """What another runtime gives for the golden inputs, and how far off it was, by output."""

    runtime: str
    version: str
    outputs: Mapping[str, npt.NDArray[np.float32]]
    differences: Mapping[str, float]


@dataclass(frozen=True)
class Golden:
    """Raw inputs ``[n, ...]`` and the outputs they must give, within a tolerance per output.

    ``answers`` are the classes by name, where they have any: a label that stands in another place
    is seen. ``streams`` are the positions at which states begin anew; without any, at every item.
    Outputs are LiteRT's, ``version`` its own; ``families`` are further runtimes that ran the items.
    Where there was no data the items are ``random``, drawn with a seed.
    """

    inputs: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[str, npt.NDArray[np.float32]]
    tolerance: Mapping[str, float]
    answers: Answers | None = None
    streams: tuple[int, ...] = ()
    version: str = ""
    families: tuple[Family, ...] = ()
    random: bool = False


@dataclass(frozen=True)
class Gate:
    """What the run that made a model found for the target: a status, and the reason in words."""

    status: str
    reason: str = ""


@dataclass(frozen=True)
class Contents:
    """What goes into a bundle, whatever its layout.

    ``compiled`` is the model as its NPU takes it; golden outputs are those of ``model``, by
    ``signature`` where it has several and one is named. ``boxes`` says how a detector's outputs
    are read. ``minimum_runtime`` is computed from the file's operators, ``arena`` the smallest that
    TFLM ran it in on this host, where that was tried. ``extra_files`` are the user's own, by their
    path in the bundle. ``saved_model`` is the folder of the one that ``model`` computes the same
    as, where there is one. ``monitoring`` are the golden statistics, none where there was no data.
    Where ``app_id`` or ``namespace`` are empty, ``app`` and ``code_name``
    say what they are instead.
    """

    name: str
    version: str
    model: Path
    precision: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocess: Preprocess
    labels: tuple[str, ...]
    golden: Golden
    measurements: Mapping[str, Json]
    tools: Mapping[str, str]
    compiled: Path | None = None
    signature: str | None = None
    states: tuple[CarriedState, ...] = ()
    boxes: BoxesSpec | None = None
    app_id: str = ""
    namespace: str = ""
    licence: Licence = Licence()
    description: str = ""
    author: str = ""
    minimum_runtime: RuntimeNeed | None = None
    arena: Measurement | None = None
    gate: Gate = Gate("not evaluated", "nobody says how it was judged")
    extra_files: Mapping[str, bytes] = field(default_factory=dict)
    saved_model: Path | None = None
    monitoring: Mapping[str, Json] | None = None

    @property
    def app(self) -> str:
        """What stores and packages know the app by, in reverse domain order."""
        return self.app_id or f"{EXAMPLE}.{self.code_name.lower()}"

    @property
    def code_name(self) -> str:
        """The namespace, module or prefix of source code: an identifier of C."""
        return self.namespace or identifier(self.name)
