"""Data linted without a model: everything that the arrays tell by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekit import data, scratch
from edgekit.data import lint
from edgekit.data.lint import Subset, Unchecked, quantity
from edgekit.data.split import SAMPLES
from edgekit.errors import DataError
from edgekit.pipeline.lint import Linted, part, summary
from edgekit.pipeline.plan import Options
from edgekit.project import DataTable
from edgekit.store import Store, writing
from edgekit.types import Progress, TensorSpec
from edgekit.worker import Worker

NO_MODEL = "there is no model: name one, or run this where its edgekit.toml is"


def lint_files(table: DataTable, options: Options, progress: Progress) -> Linted:
    """Lint the files of a data table, each whole; paths count from the current folder.

    Inputs are as the first set of items has them: floats, unless they are wide integers. Raises
    :class:`EdgekitError`, of which :class:`DataError` where the sets do not fit each other.
    """
    output = (options.output or Path.cwd()).resolve()
    store = Store(output / ".edgekit" / "store")
    progress.stage("lint")
    with (
        writing(output),
        scratch.held(prefix="edgekit-lint-") as folder,
        Worker(folder / "log.txt", progress) as worker,
    ):
        parts = _parts(table, store, worker)
        findings, unchecked = lint.arrays(parts)
        first = parts[0]
        if first.use == "representative":
            findings = (*findings, *quantity.lint(None, len(first), first.source))
    reasons = ("names and dtypes of the inputs", "saturation of activation ranges")
    skipped = [Unchecked(what, NO_MODEL) for what in (*reasons, "the model's own normalisation")]
    return Linted(summary(parts), lint.ordered(findings), (*unchecked, *skipped))


def _parts(table: DataTable, store: Store, worker: Worker) -> tuple[Subset, ...]:
    representative = table.representative
    uses: dict[lint.Use, str | None] = {
        "representative": representative.from_ if representative else None,
        "evaluation": table.evaluate,
        "training": table.train,
    }
    names = data.read_labels(table.labels, Path.cwd())
    subsets: list[Subset] = []
    specs: tuple[TensorSpec, ...] = ()
    for use, source in uses.items():
        if source is None:
            continue
        dataset, _ = data.open_source(
            source,
            Path.cwd(),
            store,
            worker,
            table.preprocess.spec(),
            inputs=specs,
            label=table.label_column,
            class_names=names,
            seconds=table.seconds,
            types=table.types,
        )
        specs = specs or guessed_inputs(dataset)
        index = np.arange(dataset.count)
        if use == "representative":
            classes: Any = np.load(dataset.labels) if dataset.labels else None
            index = data.choose(
                classes, dataset.count, representative.samples if representative else SAMPLES
            )
        subsets.append(part(use, dataset, index, specs, table.preprocess.spec(), Path.cwd()))
    if not subsets:
        hint = "give --data FILE.npz, --representative FILE.npz, or both"
        raise DataError("EK-DATA-013", "there is no data to lint", hint)
    return tuple(subsets)


def guessed_inputs(dataset: data.Dataset) -> tuple[TensorSpec, ...]:
    """Guess inputs that fit these arrays: wide integers are indices, all else is fed as floats."""
    specs = []
    for name in sorted(dataset.arrays):
        array = dataset.open(name)
        wide = array.dtype.kind in "iu" and array.dtype.itemsize > 2
        dtype = str(array.dtype) if wide else "float32"
        specs.append(TensorSpec(name, (None, *array.shape[1:]), dtype))
    return tuple(specs)
