"""The rows of a bench: each model on each device, and what it is fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgekit.errors import DeviceError
from edgekit.evaluation.protocol import TimingJob
from edgekit.pipeline.measure import bench_inputs
from edgekit.pipeline.measure.bench_inputs import Feed, Unpacked
from edgekit.pipeline.measure.loaded_model import LoadedModel, load_model, measured, unique_names
from edgekit.pipeline.measure.measure_options import BenchOptions
from edgekit.pipeline.measure.model_on_device import problem, status_of
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.project import Project
from edgekit.store import Store
from edgekit.targets.devices import DeviceBook
from edgekit.targets.devices.remote.benchmark_model import RUNTIME as TOOL
from edgekit.types import Benched, Json, Request, RunnerModel

# A source, and a device's name; without one, the default for that source.
Pair = tuple[str, str | None]


@dataclass(frozen=True)
class BenchRow:
    """A row to be measured: the model on its device, what it is fed, and how it is run."""

    row: Benched
    subject: LoadedModel | None = None
    feed: Feed | None = None
    arena: int | None = None
    bundle: Unpacked | None = None

    @property
    def by_tool(self) -> bool:
        """Whether the platform's own tool times it, which tells no single times."""
        return self.subject is not None and self.subject.device.runtime == TOOL

    def job(self, subject: LoadedModel, feed: Feed) -> TimingJob:
        """Build the runner's request; a single thread is pinned to one core."""
        row = self.row
        request = Request(
            mode="bench",
            models=(RunnerModel(row.id, subject.path),),
            inputs=feed.inputs,
            preprocess=feed.preprocess,
            index=feed.index,
            signature=subject.model.signature,
            delegate=row.delegate,
            threads=row.threads,
            batch=row.batch,
            core=subject.device.core() if row.threads == 1 else None,
            arena_bytes=self.arena if subject.device.runtime == "tflm" else None,
            reset_state=subject.model.stateful,
            states=subject.model.carried(feed.inputs) or None,
        )
        return TimingJob(row.id, subject.device, request)


def bench_rows(
    run: Run,
    pairs: Sequence[Pair],
    unpacked: Mapping[str, Unpacked],
    options: BenchOptions,
    strict: bool,
) -> tuple[BenchRow, ...]:
    """Build a row per model, device and number of threads, as far as model and device exist."""
    entries: list[BenchRow] = []
    feeds: dict[str, Feed] = {}
    for source, device in pairs:
        path = str(unpacked[source].model) if source in unpacked else source
        own = about_source(run.project, path, unpacked.get(source))
        about = run.about(Plan.of(own, run.plan.options))
        try:
            subject = load_model(about, path, device)
            facts = subject.device.facts()
        except DeviceError as error:
            if strict:
                raise
            entries.append(BenchRow(absent(run.devices.book, source, device or "", error)))
            continue
        if source not in feeds:
            feeds[source] = _feed(about, subject, unpacked.get(source), options)
        entries += [
            replace(
                _entry(source, subject, feeds[source], facts, count, options),
                bundle=unpacked.get(source),
            )
            for count in options.threads
        ]
    names = named([entry.row for entry in entries], options)
    return tuple(
        replace(entry, row=replace(entry.row, id=name))
        for entry, name in zip(entries, names, strict=True)
    )


def _feed(run: Run, subject: LoadedModel, bundle: Unpacked | None, options: BenchOptions) -> Feed:
    if run.project.data.evaluate is not None:
        return bench_inputs.given(run, subject.model)
    if bundle is not None:
        return bundle.feed
    return bench_inputs.synthetic(run, subject.model, options.shapes)


def _entry(
    source: str,
    subject: LoadedModel,
    feed: Feed,
    facts: Mapping[str, Json],
    threads: int,
    options: BenchOptions,
) -> BenchRow:
    row = Benched(
        id="",
        source=source,
        device=subject.device.name,
        runtime=subject.device.runtime,
        version=subject.device.version,
        threads=threads or int(facts.get("cpus", 1)),
        batch=options.batch if options.batch > 1 else bench_inputs.batch_of(subject.model, feed),
        delegate=options.delegate or "",
        bytes=subject.model.bytes,
        sha256=subject.model.digest,
        inputs=feed.source,
        address=subject.device.address,
        estimates=subject.device.estimates(),
        facts=facts,
    )
    return BenchRow(row, subject, feed, options.arena)


def absent(book: DeviceBook, source: str, device: str, error: DeviceError) -> Benched:
    """Build the row of a device that is not there."""
    status = status_of(error)
    listed = book.listed.get(device)
    where = listed.address if listed else ""
    return Benched("", source, device, status=status, problem=problem(error), address=where)


def named(rows: Sequence[Benched], options: BenchOptions) -> list[str]:
    """Make unique ids: the file's name, the device, and the threads where they differ."""
    several = len(options.threads) > 1
    names: dict[int, list[str]] = {}
    for count in {row.threads for row in rows}:
        alike = [row for row in rows if row.threads == count]
        suffix = f", {count} thread{'s' if count > 1 else ''}" if several else ""
        names[count] = [name + suffix for name in unique_names(alike, bool(options.devices))]
    return [names[row.threads].pop(0) for row in rows]


def about_source(project: Project, source: str, bundle: Unpacked | None = None) -> Project:
    """Point the project at a model; a bundle brings its own signature and states."""
    own = {"signature": bundle.signature} if bundle and bundle.signature else {}
    table = project.model.model_copy(update={"source": source, **own})
    around = measured(project).model_copy(update={"model": table})
    if bundle is None:
        return around
    states = dict(bundle.carrying.get("states") or {})
    judged = around.evaluate.model_copy(update={"state": states})
    return around.model_copy(update={"evaluate": judged})


def unpack_bundles(
    project: Project, options: Options, sources: Sequence[str]
) -> Mapping[str, Unpacked]:
    """Verify and unpack the bundles among the sources. Raises :class:`BundleError`."""
    store = Store((options.output or project.root).resolve() / ".edgekit" / "store")
    return {
        source: bench_inputs.unpack(project.root / source, store)
        for source in sources
        if bench_inputs.is_bundle(source)
    }
