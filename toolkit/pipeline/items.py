"""The items of a run: those that are judged, and those that calibrate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.data.split import SEED
from edgekit.evaluation import metrics, tasks
from edgekit.evaluation.texts import TextReader
from edgekit.pipeline import headline
from edgekit.types import Json, Preprocess

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Items:
    """What a run judges by, and what it calibrates with.

    ``inputs`` are raw ``.npy`` files by input name, ``index`` the items of them that are judged
    (also on disk, at ``index_path``), ``labels`` theirs, and ``evaluated`` how many of them the
    metric is taken on: 0 where nothing is evaluated. ``columns`` are the judged items' slices
    by name and ``groups`` the group that each belongs to, where the project names them; ``names``
    is what the items are called, where they are files, and ``task`` what the model is for, except
    where a function of the user's judges it. ``output`` is the one that the metric is taken on,
    empty where nothing says which, ``postprocess`` the user's function for it, and ``others`` what
    else is judged. ``streams`` are the places of the index at which a stream begins, ``states`` the
    outputs that are carried on to inputs, by input. ``reader`` makes texts of the output, where
    labels are texts. ``representative`` are
    preprocessed ``.npy`` files by input name, of the items ``representative_index`` of
    ``representative_source``.
    """

    inputs: Mapping[str, Path]
    index: Index
    index_path: Path
    labels: npt.NDArray[Any] | None
    evaluated: int
    digest: str
    metric: metrics.Metric
    preprocess: Preprocess
    class_names: tuple[str, ...]
    representative: Mapping[str, Path]
    representative_digest: str
    representative_count: int
    representative_source: data.Dataset | None = None
    representative_index: Index | None = None
    seed: int = SEED
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    groups: npt.NDArray[Any] | None = None
    names: npt.NDArray[Any] | None = None
    task: tasks.Detected | None = None
    output: str = ""
    postprocess: str | None = None
    others: tuple[headline.JudgedOutput, ...] = ()
    streams: tuple[int, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    reader: TextReader | None = None
    beside: tuple[metrics.Metric, ...] = ()
    shown_only: bool = False

    @property
    def key(self) -> dict[str, Json]:
        """What a store key must hold of the judged items: all that decides what a runner is fed."""
        return {
            "data": self.digest,
            "index": self.index_path.parent.name,
            "preprocess": self.preprocess.arithmetic,
            "streams": list(self.streams),
            "states": dict(self.states),
        }

    @property
    def identity(self) -> str:
        """A digest of the judged items: figures of two runs are of the same items where it is."""
        told = json.dumps(self.key, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def settings(self) -> dict[str, Json]:
        """What the figures depend on, as reports tell it: the task and its metrics."""
        return {
            "task": self.task.facts if self.task else None,
            "metric": self.metric.name,
            "direction": self.metric.direction,
            "bounded": self.metric.bounded,
            "outputs": self.judged,
            "beside": self.also_shown,
        }

    @property
    def judged(self) -> list[Json]:
        """What is judged, as reports tell it: the headline first."""
        return [
            {
                "name": name,
                "output": view.output,
                "metric": view.metric.name,
                "direction": view.metric.direction,
                "bounded": view.metric.bounded,
            }
            for name, view in self.views()
        ]

    @property
    def also_shown(self) -> list[Json]:
        """What else is taken of the headline's output, and judges nothing."""
        return [
            {"name": metric.name, "direction": metric.direction, "bounded": metric.bounded}
            for metric in self.beside
        ]

    @property
    def takes_all(self) -> bool:
        """Whether the metric is taken on what is made of all outputs, not on one of them."""
        return bool(self.postprocess) or self.metric.reads == "boxes"

    def figures(self) -> Iterator[tuple[str, Items]]:
        """Yield what is measured: what is judged, then what is only shown of the headline."""
        yield from self.views()
        for metric in self.beside:
            yield metric.name, replace(self, metric=metric, others=(), beside=(), shown_only=True)

    def views(self) -> Iterator[tuple[str, Items]]:
        """Yield what is judged by the name of its metric: the headline, then other outputs."""
        yield self.metric.name, self
        for judged in self.others:
            groups = self.groups if judged.metric.grouped else None
            yield (
                judged.name,
                replace(
                    self,
                    output=judged.output,
                    metric=judged.metric,
                    labels=judged.labels,
                    groups=groups,
                    postprocess=judged.postprocess,
                    others=(),
                    beside=(),
                    task=None,
                    reader=judged.reader,
                ),
            )
