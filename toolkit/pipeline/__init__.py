"""The stages in order: model, SavedModel, compression, candidates, checks, verdict, bundles."""

from __future__ import annotations

from edgekit.gate import decide
from edgekit.pipeline.judge import evaluate
from edgekit.pipeline.make import candidates, export, obtain, prune
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.pipeline.ship import bundle, place
from edgekit.pipeline.supply import supply
from edgekit.project import Project
from edgekit.types import Progress, Report

__all__ = ["Options", "convert"]


def convert(project: Project, options: Options, progress: Progress) -> Report:
    """Walk the whole picture, and leave models under ``build/`` and bundles under ``dist/``.

    Raises :class:`EdgekitError`; a candidate that cannot be made or run is no error but a row of
    the report.
    """
    plan = Plan.of(project, options)
    with Run(plan, progress) as run:
        model = obtain(run)
        reference = export(run, model)
        items = supply(run, reference)
        smaller, pruning = prune(run, model, reference, items)
        made = candidates(run, smaller, items)
        evaluated, judged = evaluate(run, reference, made, items)
        settled, targets, verdict = decide(
            judged, evaluated, plan.targets, plan.rules(items.metric), plan.all_precisions_count
        )
        placed = place(run, settled)
        shipped = tuple(bundle(run, target, placed, reference, items) for target in targets)
        return run.report(reference, evaluated, pruning, placed, shipped, verdict, items)
