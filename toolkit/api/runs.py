"""The Python API: the commands as functions."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from edgekit import pipeline, scratch
from edgekit.api.judgement import latest
from edgekit.api.tracking import record_bench, record_run, record_training
from edgekit.errors import ProjectError, did_you_mean
from edgekit.evaluation.metrics import METRICS
from edgekit.pipeline import ModelFiles, Options, bundling, measure
from edgekit.pipeline import sweep as sweeping
from edgekit.pipeline.bundling import BundleOptions, MadeBundle, MadeBundles, UnmadeBundle
from edgekit.pipeline.describe_data import DescribedData, DescribeOptions
from edgekit.pipeline.describe_data import describe_data as describe
from edgekit.pipeline.lint import Linted
from edgekit.pipeline.measure import BenchJob, BenchOptions, MeasureOptions
from edgekit.pipeline.split_data import SplitOptions
from edgekit.pipeline.split_data import split_data as split
from edgekit.pipeline.survey import survey
from edgekit.pipeline.written_project import written
from edgekit.process import Limits
from edgekit.project import FILE, DataTable, Project
from edgekit.project.book import device_book
from edgekit.project.train import TrainTable
from edgekit.report import bench as bench_report
from edgekit.report import details, read, write
from edgekit.report.html.files import write_beside
from edgekit.report.measured_files import write_measured
from edgekit.report.measurements import draw_worst
from edgekit.store import write_bytes
from edgekit.targets import bundles
from edgekit.targets.bundles import Verified
from edgekit.targets.devices import DevicePool, Workplace
from edgekit.types import (
    BenchReport,
    Compared,
    Evaluated,
    Progress,
    Report,
    Silent,
    Sweep,
)

__all__ = [
    "BenchJob",
    "BenchOptions",
    "BenchReport",
    "BundleOptions",
    "Compared",
    "DescribeOptions",
    "DescribedData",
    "Evaluated",
    "Linted",
    "MadeBundle",
    "MadeBundles",
    "MeasureOptions",
    "ModelFiles",
    "Options",
    "Report",
    "SplitOptions",
    "UnmadeBundle",
    "apply_delta",
    "bench",
    "bundle",
    "compare",
    "compress",
    "convert",
    "describe_data",
    "evaluate",
    "export",
    "init",
    "init_from",
    "lint_data",
    "split_data",
    "sweep",
    "swept",
    "train",
    "verify",
]


def convert(
    project: Project, options: Options | None = None, progress: Progress | None = None
) -> Report:
    """Run the main job, and write the report into the run's folder.

    Raises :class:`EdgekitError`. A failed gate is not an error: see ``report.verdict``.
    """
    return _run("convert", pipeline.convert, project, options, progress)


def train(
    project: Project, options: Options | None = None, progress: Progress | None = None
) -> ModelFiles:
    """Train the project's model; it, its SavedModel and its history are then under ``build/``.

    What is trained already comes from the store, a killed training resumes. Raises
    :class:`EdgekitError`.
    """
    options = options or Options()
    done = pipeline.train(project, options, progress or Silent())
    record_training(project, done, options.output)
    return done


def sweep(
    project: Project,
    options: Options | None = None,
    progress: Progress | None = None,
    trials: int | None = None,
) -> Sweep:
    """Train with the settings that ``[train.sweep]`` names, and return what each trial came to.

    Trials that a killed sweep has made are kept. Raises :class:`EdgekitError`.
    """
    return sweeping.sweep(project, options or Options(), progress or Silent(), trials)


def swept(project: Project, options: Options | None = None) -> Project:
    """Return the project with the settings of its sweep's best trial.

    Raises :class:`ProjectError` where there is none.
    """
    return sweeping.swept(project, options or Options())


def export(
    project: Project, options: Options | None = None, progress: Progress | None = None
) -> ModelFiles:
    """Write the SavedModel of the project's model under ``build/``, and return its signatures.

    Raises :class:`EdgekitError`.
    """
    return pipeline.export_model(project, options or Options(), progress or Silent())


def compress(
    project: Project, options: Options | None = None, progress: Progress | None = None
) -> Report:
    """Make the model smaller by the schemes of ``[compress]``, and report what was achieved.

    ``report.compression.files`` are the compressed model's. Raises :class:`EdgekitError`.
    """
    if not project.compress.schemes:
        hint = "say --prune 0.5, --cluster 16, --qat or --channels 0.5, or write [compress]"
        raise ProjectError("EK-PROJECT-011", "there is no compression scheme to apply", hint)
    return _run("compress", pipeline.compress_only, project, options, progress)


def lint_data(
    project: Project | DataTable, options: Options | None = None, progress: Progress | None = None
) -> Linted:
    """Return what is wrong with the representative and evaluation data, before it costs accuracy.

    The data tables alone, whose files count from the current folder, are linted without a model.
    Raises :class:`EdgekitError`; a finding is not an error: see ``Linted.failed``.
    """
    options, progress = options or Options(), progress or Silent()
    if isinstance(project, DataTable):
        from edgekit.pipeline.lint_files import lint_files

        return lint_files(project, options, progress)
    return pipeline.lint_data(project, options, progress)


def describe_data(
    table: DataTable,
    train_table: TrainTable | None = None,
    options: DescribeOptions | None = None,
    progress: Progress | None = None,
) -> DescribedData:
    """Return what the training data of a table holds, and where its pipeline waits.

    Raises :class:`EdgekitError`.
    """
    return describe(
        table, train_table or TrainTable(), options or DescribeOptions(), progress or Silent()
    )


def split_data(
    table: DataTable,
    train_table: TrainTable,
    options: SplitOptions,
    progress: Progress | None = None,
) -> Mapping[str, int]:
    """Write parts of the training data that share no item; how many items each has, by name.

    Raises :class:`EdgekitError`.
    """
    return split(table, train_table, options, progress or Silent())


def evaluate(
    project: Project,
    source: str,
    measure_options: MeasureOptions | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Evaluated:
    """Score a model, as it is, on every device asked for, and write ``evaluate.json`` into the run.

    Raises :class:`EdgekitError`; a device of several that cannot run it is a row.
    """
    options, measure_options = options or Options(), measure_options or MeasureOptions()
    done = measure.evaluate(project, options, source, measure_options, progress or Silent())
    if measure_options.pictures is not None and done.images is not None:
        draw_worst(done, done.images, measure_options.pictures)
    folder = _folder(project, options, done.run)
    write_measured(done, folder)
    write_beside(done, folder)
    return done


def compare(
    project: Project,
    sources: Sequence[str],
    measure_options: MeasureOptions | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Set models, on every device asked for, beside the first, and write ``compare.json`` into
    the run.

    Raises :class:`EdgekitError`; a failed budget is not an error: see ``Compared.verdict``.
    """
    options, measure_options = options or Options(), measure_options or MeasureOptions()
    done = measure.compare(project, options, sources, measure_options, progress or Silent())
    folder = _folder(project, options, done.run)
    write_measured(done, folder)
    write_beside(done, folder)
    return done


def bench(
    project: Project,
    sources: Sequence[str],
    bench_options: BenchOptions | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
    table: Path | None = None,
    executor: Executor | None = None,
) -> BenchReport:
    """Time models or bundles on every device asked for, and write ``bench.json`` into the run.

    ``table`` is a CSV to write besides. Devices on several machines are measured at once, each
    machine's by a :class:`BenchJob` that ``executor`` carries; by default, threads. Raises
    :class:`EdgekitError`; a failed budget is not an error: see ``BenchReport.verdict``.
    """
    options, bench_options = options or Options(), bench_options or BenchOptions()
    done = measure.bench(project, options, sources, bench_options, progress or Silent(), executor)
    folder = _folder(project, options, done.run)
    bench_report.write(done, folder, table)
    details.write(measure.bench_details(done, options.command, project.root), folder)
    write_beside(done, folder)
    record_bench(project, done, folder)
    return done


def _folder(project: Project, options: Options, run: str) -> Path:
    """Return the folder of a run."""
    return (options.output or project.root).resolve() / ".edgekit" / "runs" / run


def _run(
    command: str,
    job: Callable[[Project, Options, Progress], Report],
    project: Project,
    options: Options | None,
    progress: Progress | None,
) -> Report:
    options = options or Options()
    report = job(project, options, progress or Silent())
    folder = _folder(project, options, report.run)
    write(report, folder)
    write_beside(report, folder)
    record_run(project, report, folder, command)
    return report


def bundle(
    project: Project,
    source: str | None = None,
    asked: BundleOptions | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> MadeBundles:
    """Make bundles of a finished run (its folder or id; the newest without one), or of a
    ``.tflite`` as it is, without measuring again.

    Of several, those that can be made are; ``unmade`` says why the others are not. Raises
    :class:`EdgekitError` for a mistake in what was asked, and where the only one cannot be made;
    then no bundle is left.
    """
    options, asked = options or Options(), asked or BundleOptions()
    if source is not None and source.endswith(".tflite"):
        return bundling.bundle_file(project, source, asked, options, progress or Silent())
    output = (options.output or project.root).resolve()
    if source is None and project.models:
        source = str(latest(output, project.model.name))
    folder = bundling.run_folder(output, source)
    return bundling.bundle_run(project, read(folder), folder, asked, options)


def apply_delta(old: str | Path, delta: str | Path, new: str | Path, force: bool = False) -> Path:
    """Rebuild the new bundle from an old one and a delta, and return its path.

    Raises :class:`BundleError` for another old bundle or a damaged delta, and
    :class:`ProjectError` where ``new`` is there, unless it is to be forced.
    """
    path = Path(new)
    if path.exists() and not force:
        raise ProjectError("EK-OUTPUT-001", f"{path} is there already", "use --force")
    write_bytes(path, bundles.apply_delta(Path(old), Path(delta)))
    return path


def verify(
    path: str | Path,
    trusted: Sequence[str | Path] = (),
    devices: Sequence[str] = (),
    project: Project | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Check a bundle: its files, its signature by one of the ``trusted`` public keys where any are
    named, and its self-test on ``devices``, by default on the runtimes that work here.

    Raises :class:`BundleError`.
    """
    keys = [bundles.read_trusted(Path(file)) for file in trusted]
    if not devices:
        return bundles.verify(Path(path), keys)
    with scratch.held(prefix="edgekit-verify-") as folder:
        place = Workplace(folder / "requests", folder / "log.txt", Limits(), progress or Silent())
        with DevicePool(place, device_book(project)) as pool:
            named = {name: partial(pool.open, name) for name in pool.expand(devices)}
            return bundles.verify(Path(path), keys, named)


def init(folder: str | Path, force: bool = False, recipe: str = "digits") -> Path:
    """Write a recipe's project and its data into a folder; its ``edgekit.toml``.

    Raises :class:`ProjectError` where one of its files is there already, or the data cannot be
    made.
    """
    from edgekit.example import RECIPES, write_project

    if recipe not in RECIPES:
        hint = f"known: {', '.join(RECIPES)}"
        message = f"unknown recipe {recipe!r}{did_you_mean(recipe, RECIPES)}"
        raise ProjectError("EK-PROJECT-004", message, hint)
    return write_project(Path(folder), force, recipe) / FILE


def init_from(
    project: Project,
    folder: str | Path,
    force: bool = False,
    trust: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write ``edgekit.toml`` around the model of a project, of what looking at it found.

    A function of the user's, and a model that runs code of its own, is run with ``trust`` alone.
    Raises :class:`EdgekitError` where a project is there already, the model cannot be opened, or
    the data does not fit it; then no project is written.
    """
    folder = Path(folder).resolve()
    file, is_new = folder / FILE, not folder.exists()
    if file.exists() and not force:
        hint = "choose another folder, or use --force to overwrite"
        raise ProjectError("EK-INIT-001", f"{folder} already holds {FILE}", hint)
    options = Options(output=folder, trust=trust)
    try:
        text = written(survey(project, options, progress or Silent()), folder)
    except BaseException:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    write_bytes(file, text.encode())
    return file


def metric_names() -> tuple[str, ...]:
    """Return the metrics that edgekit knows by name."""
    return tuple(METRICS)
