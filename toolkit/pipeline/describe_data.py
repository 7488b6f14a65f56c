"""Data described: what it holds, a sheet of its pictures, and where its pipeline waits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit import data, scratch
from edgekit.data.description import Description, describe, write_sheet
from edgekit.errors import DataError
from edgekit.pipeline.feeding import augmentation_of
from edgekit.pipeline.lint_files import guessed_inputs
from edgekit.project import DataTable
from edgekit.project.train import TrainTable
from edgekit.store import Store, writing
from edgekit.training.feed import Training
from edgekit.training.waits import measure
from edgekit.types import Json, Progress
from edgekit.worker import Worker

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DescribedData:
    """What data holds, and the times of :func:`edgekit.training.waits.measure`, where taken."""

    description: Description
    waits: Mapping[str, Any] | None
    sheet: Path | None = None

    def to_json(self) -> dict[str, Json]:
        """Return everything, as `edgekit data describe --json` prints it."""
        return {
            "schema_version": SCHEMA_VERSION,
            **dataclasses.asdict(self.description),
            "pipeline": dict(self.waits) if self.waits else None,
            "sheet": str(self.sheet) if self.sheet else None,
        }


@dataclass(frozen=True)
class DescribeOptions:
    """Where paths count from, whether the pipeline is timed, and the PNG to draw pictures in."""

    root: Path = dataclasses.field(default_factory=Path.cwd)
    timed: bool = True
    sheet: Path | None = None


def describe_data(
    table: DataTable, train: TrainTable, options: DescribeOptions, progress: Progress
) -> DescribedData:
    """Describe the training data of a table, else its evaluation data.

    Raises :class:`EdgekitError`, of which :class:`DataError` where it cannot be read.
    """
    with opened(table, train, options.root, progress, "describe") as (dataset, worker):
        description = describe(dataset)
        if options.sheet is not None:
            write_sheet(dataset, options.sheet)
        waits = None
        if options.timed:
            spec = table.preprocess.spec()
            training = Training(
                dataset,
                spec,
                1,
                train.batch_size,
                train.seed,
                augmentation=augmentation_of(train, options.root),
            )
            waits = worker.call(measure, training, guessed_inputs(dataset))
    return DescribedData(description, waits, options.sheet)


@contextmanager
def opened(
    table: DataTable, train: TrainTable, root: Path, progress: Progress, stage: str
) -> Iterator[tuple[data.Dataset, Worker]]:
    """Open the training data of a table, else its evaluation data, with a worker for functions."""
    source = table.train or table.evaluate
    if source is None:
        hint = f"edgekit data {stage} SOURCE, or write [data] train"
        raise DataError("EK-DATA-013", f"there is no data to {stage}", hint)
    output = Path.cwd()
    progress.stage(stage)
    with (
        writing(output),
        scratch.held(prefix=f"edgekit-{stage}-") as folder,
        Worker(folder / "log.txt", progress) as worker,
    ):
        dataset, _ = data.open_source(
            source,
            root,
            Store(output / ".edgekit" / "store"),
            worker,
            table.preprocess.spec(),
            columns=tuple(name for name in (table.group, train.sample_weights) if name),
            label=table.label_column,
            class_names=(names := data.read_labels(table.labels, root)),
            seconds=table.seconds,
            types=table.types,
        )
        yield dataset.called(names), worker
