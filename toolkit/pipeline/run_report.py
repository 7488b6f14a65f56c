"""The report of a run: what was run, on what, by what settings, and what came of it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping

import edgekit
from edgekit.gate.machine import fingerprint
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.project import own_targets
from edgekit.types import (
    Candidate,
    Compression,
    Evaluation,
    Json,
    Report,
    SavedModel,
    TargetResult,
    Verdict,
    Waiver,
)
from edgekit.types.details import Details


def report(
    run: Run,
    reference: SavedModel,
    evaluated: Evaluation,
    compression: Compression | None,
    candidates: tuple[Candidate, ...],
    targets: tuple[TargetResult, ...],
    verdict: Verdict,
    items: Items,
    details: Details | None = None,
) -> Report:
    """Build the report of everything the run found."""
    plan = run.plan
    return Report(
        run=run.id,
        model={
            "name": plan.name,
            "version": run.version(reference),
            "source": run.project.model.source,
            "sha256": plan.model.digest if plan.model else reference.digest,
            "generation": plan.model.generation if plan.model else "",
        },
        environment=_environment(run),
        settings=_settings(run, items),
        stages=run.stages,
        reference=reference,
        reference_evaluation=evaluated,
        compression=compression,
        candidates=candidates,
        targets=targets,
        verdict=verdict,
        advice=run.advices,
        details=details,
    )


def _environment(run: Run) -> Mapping[str, Json]:
    return {
        "edgekit": edgekit.__version__,
        "python": platform.python_version(),
        "platform": sys.platform,
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "host": run.device.name,
        "device": fingerprint(run.device.facts()),
        "packages": run.versions,
    }


def _settings(run: Run, items: Items) -> Mapping[str, Json]:
    options, project = run.plan.options, run.project
    return {
        **items.settings,
        "max_drop": options.max_drop,
        "max_size": options.max_size,
        "max_latency": options.max_latency,
        "max_arena": options.max_arena,
        "all_precisions_count": run.plan.all_precisions_count,
        "targets_stated": bool(project.targets),
        "precisions": list(run.plan.precisions),
        "preprocess": items.preprocess.facts,
        "items": {
            "digest": items.identity,
            "evaluated": items.evaluated,
            "representative": items.representative_count,
        },
        "seeds": {"training": project.train.seed, "split": items.seed},
        **({"training": run.trained} if run.trained else {}),
        **({"dry_run": True} if run.plan.options.dry_run else {}),
        "targets": {
            name: table.model_dump(mode="json", exclude_none=True)
            for name, table in run.plan.targets.items()
        },
        "waivers": [_written(table.waiver) for table in project.waiver],
        "candidates": {
            name: table.model_dump(mode="json", exclude_none=True)
            for name, table in project.candidates.items()
        },
        "own_targets": own_targets.written(run.plan.targets),
    }


def _written(waiver: Waiver) -> Mapping[str, Json]:
    fields = {name: getattr(waiver, name) for name in ("check", "reason", "expires")}
    return {**fields, "target": waiver.target, "candidate": waiver.candidate}
