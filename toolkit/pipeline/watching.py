"""How trainings of a run are watched, and where their logs lie: ``build/<name>/logs``."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgekit.pipeline.plan import Plan
from edgekit.pipeline.run import Run
from edgekit.training.watch.settings import Settings, Watching

LOGS = "logs"
# Of a training's key: enough to tell apart those of one model.
DIGITS = 8


def logs_folder(plan: Plan) -> Path:
    """Return the folder that TensorBoard is pointed to: it has a folder for each training."""
    return plan.output / "build" / plan.name / LOGS


def watching(run: Run, key: str) -> Watching:
    """Watch the training of a store key ``<stage>-<digest>``: resumed, it goes on in its logs."""
    table, project = run.project.train.tensorboard, run.project
    stage, _, digest = key.partition("-")
    settings = Settings(
        every=table.every,
        share=table.share,
        items=table.items,
        images=table.images,
        profile=table.profile,
        hyperparameters={
            "epochs": project.train.all_epochs,
            "batch_size": project.train.batch_size,
            "seed": project.train.seed,
        },
    )
    folder = logs_folder(run.plan) / f"{stage}-{digest[:DIGITS]}" if table.logs else None
    return Watching(settings, folder)


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
    """Read the columns of a ``history.csv``; what is no finite number is None."""
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
