"""A bench on the devices of one machine, as data: what is done on other hosts, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from edgekit.evaluation.protocol import Protocol
from edgekit.pipeline.measure.bench import MachineBench, bench_place
from edgekit.pipeline.measure.bench_rows import about_source, unpack_bundles
from edgekit.pipeline.measure.measure_options import BenchOptions
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.project import WRITTEN, Project
from edgekit.targets.devices import DeviceBook, DeviceBudgets, Listed, Tape
from edgekit.types import Json, Progress, Silent

# What a bench takes of a project.
TABLES = {"schema_", "model", "data", "evaluate", "limits"}


@dataclass(frozen=True)
class BenchJob:
    """Models or bundles on the ``devices`` of one ``place``, which take turns.

    ``project`` is what :func:`tables_of` takes of one, whose paths count from ``root``; what is
    left goes below ``output``, into the folder of ``run``. A job is complete: it needs no book of
    devices.
    """

    place: str
    sources: tuple[str, ...]
    devices: tuple[Listed, ...]
    options: BenchOptions
    project: Mapping[str, Json]
    root: str
    output: str
    run: str
    trust: bool = False

    @property
    def label(self) -> str:
        """The devices, for people."""
        return ", ".join(one.name for one in self.devices)

    def to_json(self) -> dict[str, Json]:
        """Write the job as JSON types."""
        baseline = self.options.baseline
        options = {**asdict(self.options), "baseline": str(baseline) if baseline else None}
        return {**asdict(self), "options": options}

    @classmethod
    def from_json(cls, written: Mapping[str, Json]) -> BenchJob:
        """Read a job that :meth:`to_json` wrote."""
        options = dict(written["options"])
        options |= {name: tuple(options[name]) for name in ("devices", "threads")}
        options["protocol"] = Protocol(**options["protocol"])
        options["baseline"] = Path(options["baseline"]) if options["baseline"] else None
        devices = tuple(
            Listed(
                **{
                    **listed,
                    "members": tuple(listed["members"]),
                    "budgets": DeviceBudgets(**listed["budgets"]),
                }
            )
            for listed in written["devices"]
        )
        return cls(
            **{
                **written,
                "sources": tuple(written["sources"]),
                "devices": devices,
                "options": BenchOptions(**options),
            }
        )


def tables_of(project: Project) -> dict[str, Json]:
    """Dump the tables of a project that a job needs; sizes and times are plain numbers."""
    return project.model_dump(mode="json", by_alias=True, exclude_unset=True, include=TABLES)


def perform(
    job: BenchJob,
    progress: Progress | None = None,
    tape: Tape | None = None,
    began: Callable[[Run], None] | None = None,
) -> MachineBench:
    """Do a job here: its rows, what the machine of its devices is, and every run's time.

    ``began`` is given the run, whose devices may be closed from another thread. A device that
    fails is a row. Raises :class:`EdgekitError` where a model or the data cannot be read.
    """
    project = Project.parse(dict(job.project), Path(job.root), context=WRITTEN)
    options = Options(
        output=Path(job.output), trust=job.trust, evaluate=project.data.evaluate is not None
    )
    unpacked = unpack_bundles(project, options, job.sources)
    source = job.sources[0]
    first = str(unpacked[source].model) if source in unpacked else source
    book = DeviceBook({one.name: one for one in job.devices})
    plan = Plan.of(about_source(project, first), options)
    bench_options = replace(job.options, devices=tuple(book.listed))
    with Run(plan, progress or Silent(), name=job.run, book=book, tape=tape) as run:
        if began is not None:
            began(run)
        pairs = [(source, device) for source in job.sources for device in book.listed]
        bench = bench_place(run, pairs, unpacked, bench_options, strict=False)
    return with_samples(bench)


def with_samples(bench: MachineBench) -> MachineBench:
    """Load the times that lie in files: another host may not have these."""
    paths: Sequence[Path | None] = [row.latency.path if row.latency else None for row in bench.rows]
    samples = tuple(np.load(path) if path is not None else None for path in paths)
    return replace(bench, samples=samples)
