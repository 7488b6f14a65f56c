"""How trainings of a run are watched, and where their logs lie: ``build/<name>/logs``."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgekit.pipeline.datasets import class_names
from edgekit.pipeline.run import Run
from edgekit.project.train import TrainTable
from edgekit.training.watch.settings import Settings, Watching

# Of a training's key: enough to tell apart those of one model.
DIGITS = 8


def watching(run: Run, key: str, settings: TrainTable) -> Watching:
    """Watch the training of a store key ``<stage>-<digest>``: resumed, it goes on in its logs."""
    table, trained = settings.tensorboard, run.project.train
    stage, _, digest = key.partition("-")
    watched = Settings(
        every=table.every,
        share=table.share,
        items=table.items,
        images=table.images,
        profile=table.profile,
        hyperparameters={
            **run.project.model.arguments,
            **_chosen(settings),
            "stage": stage,
            "epochs": settings.all_epochs,
            "batch_size": trained.batch_size,
            "seed": trained.seed,
        },
        class_names=class_names(run),
    )
    folder = run.plan.logs / f"{stage}-{digest[:DIGITS]}" if table.logs else None
    return Watching(watched, folder)


def _chosen(settings: TrainTable) -> Mapping[str, str | float | int | bool]:
    """Return the settings that a project says, each as one value."""
    said = settings.model_dump(
        mode="json", exclude_unset=True, exclude={"tensorboard", "sweep", "optimizer"}
    )
    chosen: dict[str, str | float | int | bool] = {}
    for name, value in said.items():
        below = value.items() if isinstance(value, dict) else [("", value)]
        for key, one in below:
            if isinstance(one, (str, float, int, bool)):
                chosen[f"{name}.{key}" if key else name] = one
    return chosen


@contextmanager
def telling_logs(watched: Watching) -> Iterator[None]:
    """Say of a training that is interrupted where its logs are: resumed, it goes on in them."""
    try:
        yield
    except KeyboardInterrupt as error:
        if watched.folder is None or not watched.folder.is_dir():
            raise
        folder, here = watched.folder, Path.cwd()
        shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
        message = f"the logs of the training so far are in {shown}; resumed, it goes on in them"
        raise KeyboardInterrupt(message) from error


def by_epoch(path: Path) -> Mapping[str, tuple[float | None, ...]]:
    """Read the columns of a ``history.csv``; what is not a finite number is None."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: tuple(_number(row.get(name)) for row in rows) for name in (rows or [{}])[0]}


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
