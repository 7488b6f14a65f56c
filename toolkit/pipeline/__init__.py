"""The stages in order: model, SavedModel, compression, candidates, checks, verdict, bundles."""

from __future__ import annotations

from dataclasses import replace

from edgekit.gate import judge_run
from edgekit.pipeline import expected_stages
from edgekit.pipeline.as_is import doubt_reference, reference_of
from edgekit.pipeline.compile import attach, compile_candidates
from edgekit.pipeline.compress import compress, place_compressed
from edgekit.pipeline.details import details_of
from edgekit.pipeline.float32 import prove_float32
from edgekit.pipeline.judge import UNCOMPRESSED, evaluate, start_reference
from edgekit.pipeline.layer_errors import compare_layers
from edgekit.pipeline.lint import advise, doubt, lint_data
from edgekit.pipeline.make import candidates, export, obtain
from edgekit.pipeline.model_files import ModelFiles, export_model, place_model, train
from edgekit.pipeline.on_device import measure_on_devices
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.ratchet import held
from edgekit.pipeline.raw_bytes import as_given
from edgekit.pipeline.recover import explained, recover
from edgekit.pipeline.run import Run
from edgekit.pipeline.run_report import report
from edgekit.pipeline.scores import rules_of, takes_labels
from edgekit.pipeline.selection import select_items
from edgekit.pipeline.ship import bundle, keep_contents, place
from edgekit.pipeline.tuning import check_strategy
from edgekit.pipeline.update_size import with_deltas
from edgekit.project import ConvertTable, Project
from edgekit.types import Progress, Report, Status, Verdict

__all__ = [
    "ModelFiles",
    "Options",
    "compress_only",
    "convert",
    "export_model",
    "lint_data",
    "train",
]


def convert(project: Project, options: Options, progress: Progress) -> Report:
    """Walk the whole picture, and leave models under ``build/`` and bundles under ``dist/``.

    Raises :class:`EdgekitError`; a candidate that cannot be made or run is not an error but a row
    of the report.
    """
    plan = Plan.of(project, options)
    with Run(plan, progress) as run:
        run.progress.expect(expected_stages.conversion(plan))
        run.asks_reference = options.evaluate and not project.compress.schemes
        check_strategy(run)
        model = obtain(run)
        source = export(run, model)
        reference = reference_of(run, source)
        items = as_given(run, source, select_items(run, source, takes_labels(run)))
        if options.evaluate:
            plan.check_limits(items.metric)
        place_model(run, model, source)
        prove_float32(run, source, items)
        smaller, compression = compress(run, model, source, items)
        start_reference(run, reference, items)
        advise(run, source, smaller, items)
        made = recover(run, smaller, source, candidates(run, smaller, items), items)
        evaluated, judged = evaluate(run, reference, made, items)
        rules = rules_of(run, items)
        judged = explained(with_deltas(run, judged), rules)
        doubt(run, source, evaluated, items)
        doubt_reference(run, source, reference, items)
        compilation = compile_candidates(run, judged)
        on_device = measure_on_devices(run, reference, judged, items)
        layers = compare_layers(run, reference, judged, items)
        settled, targets, verdict = judge_run(
            judged,
            evaluated,
            plan.targets,
            rules,
            plan.all_precisions_count,
            compilation.results,
            on_device,
            own={name: table.budgets for name, table in project.candidates.items()},
        )
        placed = place(run, settled)
        draft = report(run, reference, evaluated, compression, placed, targets, verdict, items)
        draft = held(run, draft)
        targets = tuple(attach(run, target, compilation) for target in draft.targets)
        kept = keep_contents(run, targets, placed, source, smaller, items)
        shipped = tuple(bundle(run, target, placed, kept, source) for target in targets)
        details = details_of(run, "convert", reference, placed, items, layers)
        done = report(run, reference, evaluated, compression, placed, shipped, verdict, items)
        return replace(done, verdict=draft.verdict, details=details)


def compress_only(project: Project, options: Options, progress: Progress) -> Report:
    """Make the model smaller, keep it under ``build/``, and set it beside the uncompressed one.

    Each precision is made of both, as ``int8`` and ``int8@uncompressed``; nothing is gated. Raises
    :class:`EdgekitError`.
    """
    plan = Plan.of(_compared(project), options)
    with Run(plan, progress) as run:
        run.progress.expect(expected_stages.compression(plan))
        check_strategy(run)
        model = obtain(run)
        reference = export(run, model)
        items = select_items(run, reference, takes_labels(run))
        prove_float32(run, reference, items)
        smaller, compression = compress(run, model, reference, items)
        start_reference(run, reference, items)
        made = (
            *candidates(run, reference.in_float32, items, UNCOMPRESSED),
            *candidates(run, smaller, items),
        )
        evaluated, judged = evaluate(run, reference, made, items)
        kept = place_compressed(run, compression) if compression and not options.dry_run else None
        verdict = Verdict(Status.NOT_EVALUATED, 0)
        details = details_of(run, "compress", reference, judged, items)
        return report(
            run, reference, evaluated, kept or compression, judged, (), verdict, items, details
        )


def _compared(project: Project) -> Project:
    """Choose the precisions that show what compression does: float32, and int8 with data."""
    if "precisions" in project.convert.model_fields_set:
        return project
    data = project.data
    calibrated = any((data.evaluate, data.train, data.representative))
    aware = project.compress.quantization_aware is not None
    precisions = ("int8",) if aware and calibrated else ("float32", "int8")[: 1 + calibrated]
    return project.model_copy(update={"convert": ConvertTable(precisions=precisions)})
