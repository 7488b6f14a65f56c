"""The Python API: the commands as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgekit import gate, pipeline, scratch
from edgekit.errors import ProjectError
from edgekit.evaluation.metrics import METRICS
from edgekit.gate import Rules
from edgekit.pipeline import Options, bundling, measure
from edgekit.pipeline.bundling import BundleOptions, MadeBundle
from edgekit.pipeline.lint import Linted
from edgekit.pipeline.measure import BenchJob, BenchOptions, MeasureOptions
from edgekit.process import Limits
from edgekit.project import FILE, WRITTEN, DataTable, Goal, Project, TargetTable, own_targets
from edgekit.project.book import device_book
from edgekit.report import bench as bench_report
from edgekit.report import read, write
from edgekit.report.measurements import draw_worst
from edgekit.store import write_bytes
from edgekit.targets import bundles, catalog
from edgekit.targets.bundles import Verified
from edgekit.targets.devices import DevicePool, Workplace
from edgekit.types import (
    BenchReport,
    Candidate,
    Compared,
    Evaluated,
    Json,
    Progress,
    Report,
    Silent,
)

__all__ = [
    "BenchJob",
    "BenchOptions",
    "BenchReport",
    "BundleOptions",
    "Compared",
    "Evaluated",
    "Linted",
    "MadeBundle",
    "MeasureOptions",
    "Options",
    "Report",
    "apply_delta",
    "bench",
    "bundle",
    "check",
    "compare",
    "compress",
    "convert",
    "evaluate",
    "init",
    "latest",
    "lint_data",
    "verify",
]


def convert(
    project: Project, options: Options | None = None, progress: Progress | None = None
) -> Report:
    """Run the main job, and write the report into the run's folder.

    Raises :class:`EdgekitError`. A failed gate is no error: see ``report.verdict``.
    """
    return _run(pipeline.convert, project, options, progress)


def compress(
    project: Project, options: Options | None = None, progress: Progress | None = None
) -> Report:
    """Make the model smaller by the schemes of ``[compress]``, and report what was achieved.

    ``report.compression.files`` are the compressed model's. Raises :class:`EdgekitError`.
    """
    if not project.compress.schemes:
        hint = "say --prune 0.5, --cluster 16, --qat or --channels 0.5, or write [compress]"
        raise ProjectError("EK-PROJECT-011", "there is no compression scheme to apply", hint)
    return _run(pipeline.compress_only, project, options, progress)


def lint_data(
    project: Project | DataTable, options: Options | None = None, progress: Progress | None = None
) -> Linted:
    """Return what is wrong with the representative and evaluation data, before it costs accuracy.

    The data tables alone, whose files count from the current folder, are linted without a model.
    Raises :class:`EdgekitError`; a finding is no error: see ``Linted.failed``.
    """
    options, progress = options or Options(), progress or Silent()
    if isinstance(project, DataTable):
        from edgekit.pipeline.lint_files import lint_files

        return lint_files(project, options, progress)
    return pipeline.lint_data(project, options, progress)


def evaluate(
    project: Project,
    source: str,
    measure_options: MeasureOptions | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Evaluated:
    """Score a model, as it is, on every device asked for.

    Raises :class:`EdgekitError`; a device of several that cannot run it is a row.
    """
    measure_options = measure_options or MeasureOptions()
    done = measure.evaluate(
        project, options or Options(), source, measure_options, progress or Silent()
    )
    if measure_options.pictures is not None and done.images is not None:
        draw_worst(done, done.images, measure_options.pictures)
    return done


def compare(
    project: Project,
    sources: Sequence[str],
    measure_options: MeasureOptions | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Set models, on every device asked for, beside the first.

    Raises :class:`EdgekitError`; a failed budget is no error: see ``Compared.verdict``.
    """
    return measure.compare(
        project,
        options or Options(),
        sources,
        measure_options or MeasureOptions(),
        progress or Silent(),
    )


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
    :class:`EdgekitError`; a failed budget is no error: see ``BenchReport.verdict``.
    """
    options, bench_options = options or Options(), bench_options or BenchOptions()
    done = measure.bench(project, options, sources, bench_options, progress or Silent(), executor)
    root = (options.output or project.root).resolve()
    bench_report.write(done, root / ".edgekit" / "runs" / done.run, table)
    return done


def _run(
    job: Callable[[Project, Options, Progress], Report],
    project: Project,
    options: Options | None,
    progress: Progress | None,
) -> Report:
    options = options or Options()
    report = job(project, options, progress or Silent())
    root = (options.output or project.root).resolve()
    write(report, root / ".edgekit" / "runs" / report.run)
    return report


def latest(output: Path) -> Path:
    """Return the newest run's report below an output folder. Raises :class:`ProjectError`."""
    reports = sorted(
        (output / ".edgekit" / "runs").glob("*/report.json"), key=lambda p: p.stat().st_mtime_ns
    )
    if not reports:
        hint = "run `edgekit convert` first, or name a report.json"
        raise ProjectError("EK-REPORT-001", f"there is no report below {output.resolve()}", hint)
    return reports[-1]


def check(
    path: Path,
    project: Project | None = None,
    max_drop: float | None = None,
    max_size: int | None = None,
    precisions: tuple[str, ...] = (),
    targets: tuple[str, ...] = (),
    metric_output: str | None = None,
) -> Report:
    """Judge a finished run again: by these limits, else the project's, else the run's own.

    ``precisions``, ``targets`` and ``metric_output`` narrow: they choose among the checks, whose
    limits stay. What the run did not try is unavailable. Raises :class:`ProjectError` where the
    report is none, or holds no such precision, target or output.
    """
    report = read(path)
    own_targets.add_written(report.settings.get("own_targets", {}))
    targets = tuple(map(catalog.own_id, targets))
    by_project = project is not None and bool(project.targets)
    tables = _tables(report, project)
    stated = by_project or _stated(report.settings)
    _known("precision", precisions, [c.precision for c in report.candidates])
    _known("target", targets, list(tables))
    kept = tuple(c for c in report.candidates if not precisions or _is_one_of(c, precisions))
    new = tables if by_project else {}
    gate.check_limits(
        str(report.settings["metric"]), bool(report.settings["bounded"]), max_drop, new
    )
    tables = {name: table for name, table in tables.items() if not targets or name in targets}
    if stated and precisions:
        tables = _shipping(tables, report.candidates, kept)
    report, tables = _of_output(report, tables, metric_output)
    settings = report.settings
    if by_project:
        tables = {name: _with_limits(table, settings) for name, table in tables.items()}
    else:
        max_drop = settings["max_drop"] if max_drop is None else max_drop
        max_size = settings["max_size"] if max_size is None else max_size
    rules = _rules(report, max_drop, max_size)
    every = bool(report.settings["all_precisions_count"]) or (bool(precisions) and not targets)
    made = {target.id: target for target in report.targets}
    compiled = {name: target.compiled for name, target in made.items()}
    on_device = {name: target.on_device for name, target in made.items()}
    judged, results, verdict = gate.judge_run(
        kept,
        report.reference_evaluation,
        tables,
        rules,
        every and not stated,
        compiled,
        on_device,
        set(made),
    )
    results = tuple(
        replace(
            r,
            bundle=made[r.id].bundle,
            further_bundles=made[r.id].further_bundles,
            npu=made[r.id].npu,
        )
        if r.candidate and r.id in made and made[r.id].candidate == r.candidate
        else r
        for r in results
    )
    return replace(report, candidates=judged, targets=results, verdict=gate.as_evidence(verdict))


def _is_one_of(candidate: Candidate, precisions: tuple[str, ...]) -> bool:
    """Tell whether a candidate has one of these precisions, or stands in for one that has."""
    recovered = candidate.recovery.stands_for if candidate.recovery else None
    return candidate.precision in precisions or recovered in precisions


def _of_output(
    report: Report, tables: dict[str, TargetTable], output: str | None
) -> tuple[Report, dict[str, TargetTable]]:
    """Restrict a report to one output's metric, and the targets to its budgets.

    Raises :class:`ProjectError` where the run judged no such output.
    """
    if output is None:
        return report, tables
    judged = list(report.settings.get("outputs", ()))
    _known("output", (output,), [str(row["output"]) for row in judged])
    headline = next(row for row in judged if row["output"] == output)
    direction = {name: headline[name] for name in ("direction", "bounded")}
    settings = {**report.settings, **direction, "metric": headline["name"], "outputs": [headline]}
    if headline is not judged[0]:
        # The run's own limit was the headline's, in its unit.
        same = bool(headline["bounded"]) and bool(judged[0]["bounded"])
        settings["max_drop"] = report.settings["max_drop"] if same else None
        tables = {name: _with_budget_of(table, output) for name, table in tables.items()}
    return replace(report, settings=settings), tables


def _with_budget_of(table: TargetTable, output: str) -> TargetTable:
    goals = {"accuracy": None, "metric": table.budgets.outputs.get(output)}
    return table.model_copy(update={"budgets": table.budgets.model_copy(update=goals)})


def _rules(report: Report, max_drop: float | None, max_size: int | None) -> Rules:
    """Build the rules that a report is judged by, output by output, as in the run itself."""
    settings = report.settings
    bounded = bool(settings["bounded"])
    judged = list(settings.get("outputs", ()))
    own = {candidate.sha256 for candidate in report.candidates if candidate.as_is}
    by_itself = report.reference.digest in own
    others = tuple(
        Rules(
            metric=str(output["name"]),
            bounded=bool(output["bounded"]),
            higher_is_better=output["direction"] == "higher",
            max_drop=max_drop if bounded and output["bounded"] else None,
            output=str(output["output"]),
            by_itself=by_itself,
        )
        for output in judged[1:]
    )
    return Rules(
        metric=str(settings["metric"]),
        bounded=bounded,
        higher_is_better=settings["direction"] == "higher",
        max_drop=max_drop,
        max_size=max_size,
        output=str(judged[0]["output"]) if judged else "",
        others=others,
        by_itself=by_itself,
    )


def _tables(report: Report, project: Project | None) -> dict[str, TargetTable]:
    if project is not None and project.targets:
        return dict(project.targets)
    try:
        written = report.settings["targets"]
        return {n: TargetTable.model_validate(t, context=WRITTEN) for n, t in written.items()}
    except ValueError as error:
        hint = f"settings.targets holds no target's table: {str(error)[:500]}"
        raise ProjectError("EK-REPORT-002", "the report cannot be read", hint) from error


def _stated(settings: Mapping[str, Json]) -> bool:
    """Tell whether the run's targets were somebody's choice, not this host by default."""
    if "targets_stated" in settings:
        return bool(settings["targets_stated"])
    return any(table != {"budgets": {}} for table in settings["targets"].values())


def _shipping(
    tables: Mapping[str, TargetTable], every: Sequence[Candidate], kept: Sequence[Candidate]
) -> dict[str, TargetTable]:
    """Keep the targets that may ship one of the candidates kept, and those that may ship none.

    Raises :class:`ProjectError` where nothing is left to judge.
    """

    def takes(name: str, among: Sequence[Candidate]) -> bool:
        return any(gate.may_ship(name, tables[name], one) for one in among)

    kept_targets = {
        n: table for n, table in tables.items() if takes(n, kept) or not takes(n, every)
    }
    if not kept_targets:
        listed = ", ".join(dict.fromkeys(one.id for one in kept))
        message = f"no target of the report ships {listed}"
        ships = "; ".join(f"{name} {table.precision}" for name, table in tables.items())
        raise ProjectError("EK-REPORT-004", message, f"they ship: {ships}")
    return kept_targets


def _with_limits(table: TargetTable, settings: Mapping[str, Json]) -> TargetTable:
    """Return a project's table with the limits that the run was given, where it says no other."""
    budgets, max_drop, max_size = table.budgets, settings["max_drop"], settings["max_size"]
    changed: dict[str, object] = {}
    goal = budgets.goal or Goal()
    if max_drop is not None and goal.max_degradation is goal.percent_max_degradation is None:
        name = "accuracy" if budgets.accuracy else "metric"
        changed[name] = goal.model_copy(update={"max_degradation": max_drop})
    if max_size is not None and budgets.size is None:
        changed["size"] = max_size
    return table.model_copy(update={"budgets": budgets.model_copy(update=changed)})


def _known(noun: str, names: tuple[str, ...], known: list[str]) -> None:
    for name in names:
        if name not in known:
            hint = f"it holds: {', '.join(known)}"
            raise ProjectError("EK-REPORT-003", f"the report holds no {noun} {name!r}", hint)


def bundle(
    project: Project,
    source: str | None = None,
    asked: BundleOptions | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> tuple[MadeBundle, ...]:
    """Make bundles of a finished run (its folder or id; the newest without one), or of a
    ``.tflite`` as it is, without measuring again.

    Raises :class:`EdgekitError`; then no bundle is left.
    """
    options, asked = options or Options(), asked or BundleOptions()
    if source is not None and source.endswith(".tflite"):
        return bundling.bundle_file(project, source, asked, options, progress or Silent())
    folder = bundling.run_folder((options.output or project.root).resolve(), source)
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


def init(folder: str | Path, force: bool = False) -> Path:
    """Write the example project into a folder; its ``edgekit.toml``.

    Raises :class:`ProjectError` where one of its files is there already.
    """
    from edgekit.example import write_project

    return write_project(Path(folder), force) / FILE


def metric_names() -> tuple[str, ...]:
    """Return the metrics that edgekit knows by name."""
    return tuple(METRICS)
