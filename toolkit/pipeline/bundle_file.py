"""What the bundle of a ``.tflite`` holds that is taken as it is: its golden pairs are made here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.converters.runtime_version import runtime_need
from edgekit.pipeline.items import Items
from edgekit.pipeline.make import export, obtain
from edgekit.pipeline.measure.bench_inputs import DRAWN, synthetic
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.pipeline.selection import select_items
from edgekit.pipeline.ship import contents_of
from edgekit.project import ConvertTable, Project
from edgekit.project.compress import CompressTable
from edgekit.targets import bundles
from edgekit.types import Candidate, Progress, SavedModel

# Items that golden pairs are chosen among: enough to meet every class, few enough to be quick.
MOST_ITEMS = 1024


@contextlib.contextmanager
def contents_of_file(
    project: Project, source: str, options: Options, progress: Progress
) -> Iterator[bundles.Contents]:
    """Yield the contents of a file's bundles, whatever their target, while its copy is there.

    Its golden items are of the project's data; without any they are drawn with a seed.
    """
    alone = {
        "model": project.model.model_copy(update={"source": source}),
        "convert": ConvertTable(as_is=True),
        "compress": CompressTable(),
        "targets": {},
    }
    given = project.data.evaluate is not None
    plan = Plan.of(
        project.model_copy(update=alone), replace(options, evaluate=given, limit=MOST_ITEMS)
    )
    with Run(plan, progress) as run:
        run.progress.expect(("read", "data", "golden pairs"))
        model = export(run, obtain(run))
        items = select_items(run, model, labelled=False) if given else _drawn(run, model)
        with run.stage("golden pairs"):
            contents = contents_of(run, _candidate(run, model), model, items)
        golden = replace(contents.golden, random=not given)
        # Drawn items say nothing of what the model will meet.
        yield replace(contents, golden=golden, monitoring=contents.monitoring if given else None)


def _drawn(run: Run, model: SavedModel) -> Items:
    """Return items that were drawn for the model."""
    feed = synthetic(run, model)
    return replace(
        select_items(run, model, labelled=False),
        inputs=feed.inputs,
        preprocess=run.project.data.preprocess.spec(),
        index=np.arange(DRAWN),
        index_path=feed.index,
        evaluated=DRAWN,
        digest=f"drawn for {model.digest}",
    )


def _candidate(run: Run, model: SavedModel) -> Candidate:
    file = flatbuffer.read(model.path)
    (precision,) = run.plan.precisions
    return Candidate(
        id=precision,
        precision=precision,
        path=model.path,
        sha256=model.digest,
        bytes=model.bytes,
        minimum_runtime=runtime_need(file),
        as_is=True,
        signature=model.signature,
    )
