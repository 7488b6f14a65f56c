"""The stages of a training: which layers each trains, and which it leaves frozen.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from edgekit.errors import ProjectError, did_you_mean
from edgekit.models.load import library
from edgekit.project.train import StageTable, TrainTable

# How many names of layers an error lists.
LISTED = 20


@dataclass(frozen=True)
class Stage:
    """A part of a training: its place among all, what it trains, and with which settings.

    Without ``[[train.stage]]`` there is one, without a ``table``.
    """

    number: int
    count: int
    epochs: int
    settings: TrainTable
    table: StageTable | None = None

    @property
    def label(self) -> str:
        """What progress calls it; empty where there is but one."""
        if self.table is None:
            return ""
        name = f" ({self.table.name})" if self.table.name else ""
        return f"stage {self.number}/{self.count}{name}"


@dataclass(frozen=True)
class Place:
    """A layer, and where in the model it lies: ``base/block5_conv1``.

    ``listed`` says whether the ``layers`` of a model have it, and not those of another layer.
    """

    path: str
    layer: Any
    listed: bool

    def below(self, path: str) -> bool:
        """Tell whether this is the layer at a path, or within it."""
        return f"{self.path}/".startswith(f"{path}/")


def stages_of(settings: TrainTable, epochs: int) -> tuple[Stage, ...]:
    """Return the stages that the settings ask for, each with its own optimizer and rate.

    Where they ask for none there is one, of so many epochs.
    """
    if not settings.stage:
        return (Stage(1, 1, epochs, settings),)
    stages = []
    for number, table in enumerate(settings.stage, 1):
        said = {"optimizer": table.optimizer, "learning_rate": table.learning_rate}
        own = settings.model_copy(update={k: v for k, v in said.items() if v is not None})
        stages.append(Stage(number, len(settings.stage), table.epochs, own, table))
    return tuple(stages)


def freeze(model: Any, stage: Stage) -> None:
    """Set what a stage trains, and freeze all other layers.

    Raises :class:`ProjectError` where a pattern fits no layer, or nothing is left to train.
    """
    table = stage.table
    if table is None:
        return
    places = list(_places(model, ""))
    chosen = _chosen(places, table.trainable, stage.number)
    if table.freeze_batch_norm:
        kind = library(model).layers.BatchNormalization
        chosen = [place for place in chosen if not isinstance(place.layer, kind)]
    paths = {place.path for place in chosen}
    # What holds a trained layer is trainable itself: Keras asks it first.
    holders = {path[:at] for path in paths for at, sign in enumerate(path) if sign == "/"}
    model.trainable = True
    # What holds others comes first: it hands on to them what it is set to.
    for place in places:
        place.layer.trainable = place.path in paths | holders
    if not model.trainable_variables:
        message = f"stage {stage.number} of [[train.stage]] trains no weights"
        said = table.trainable if isinstance(table.trainable, (str, int)) else [*table.trainable]
        hint = f"trainable = {said!r} fits layers without weights alone"
        raise ProjectError("EK-TRAIN-005", message, hint)


def trainable_count(model: Any) -> tuple[int, int]:
    """Return how many of a model's weights are trained, and how many it has."""
    trained, every = model.trainable_variables, model.weights
    return sum(int(np.prod(one.shape)) for one in trained), sum(
        int(np.prod(one.shape)) for one in every
    )


def _places(holder: Any, path: str) -> Iterator[Place]:
    """Yield the layers within a model or layer, however deep, each once and its holder first."""
    seen: set[int] = set()
    listed = isinstance(holder, library(holder).Model)
    for layer in holder._flatten_layers(include_self=False, recursive=False):
        if id(layer) not in seen:
            seen.add(id(layer))
            place = f"{path}/{layer.name}".lstrip("/")
            inner = isinstance(layer, library(layer).Model)
            yield Place(place, layer, listed and not inner)
            yield from _places(layer, place)


def _chosen(places: list[Place], trainable: str | int | Iterable[str], number: int) -> list[Place]:
    if trainable == "all":
        return places
    if isinstance(trainable, int):
        paths = [place.path for place in places if place.listed][-trainable:]
        return [place for place in places if any(place.below(path) for path in paths)]
    chosen: list[Place] = []
    for pattern in trainable:
        fitting = [
            place.path
            for place in places
            if fnmatchcase(place.path, pattern) or fnmatchcase(place.layer.name, pattern)
        ]
        if not fitting:
            raise _unknown(pattern, places, number)
        chosen += [place for place in places if any(place.below(path) for path in fitting)]
    return chosen


def _unknown(pattern: str, places: list[Place], number: int) -> ProjectError:
    paths = [place.path for place in places]
    names = [*paths, *(place.layer.name for place in places)]
    message = (
        f"stage {number} of [[train.stage]]: no layer of the model fits"
        f" {pattern!r}{did_you_mean(pattern, names)}"
    )
    more = f", and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
    hint = f"its layers are {', '.join(paths[:LISTED])}{more}"
    return ProjectError("EK-TRAIN-005", message, hint)
