"""A model on devices: its metric with an interval, details by class, slices, the worst items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgekit.errors import RunnerError
from edgekit.evaluation import metrics
from edgekit.gate.verdict import EXIT_CODES, worst
from edgekit.pipeline.measure.asked import Asked
from edgekit.pipeline.measure.given import Given, answered, measuring, obtained, output_of, problem
from edgekit.pipeline.plan import Options
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items, supply
from edgekit.project import Project
from edgekit.types import (
    CheckResult,
    Evaluated,
    Json,
    Progress,
    Status,
    Verdict,
)


def evaluate(
    project: Project, options: Options, source: str, asked: Asked, progress: Progress
) -> Evaluated:
    """Score a model on every device asked for. Raises :class:`EdgekitError`.

    With several devices, one that cannot run it is a row; the only one's failure is an error.
    """
    with measuring(project, options, source, progress) as run:
        found = obtained(run, (source,), asked.devices)
        first = next(one.subject for one in found if one.subject is not None)
        items = supply(run, first.model)
        with run.stage("evaluate"):
            strict = len(found) == 1
            found = tuple(answered(run, one, items, first.model, asked, strict) for one in found)
            found = tuple(scored(run, one, items, asked, strict) for one in found)
        checks = tuple(runs(one) for one in found)
        status = worst(check.status for check in checks)
        return Evaluated(
            run=run.id,
            settings=settings(run, items, asked),
            models=tuple(one.measured for one in found),
            details={},
            slices=(),
            worst=(),
            advice=run.advices,
            verdict=Verdict(status, int(EXIT_CODES[status]), checks),
        )


def scored(run: Run, given: Given, items: Items, asked: Asked, strict: bool = False) -> Given:
    """The model's metric. Outputs that are NaN or infinite make it a row without one."""
    if not given.ready:
        return given
    wanted = asked.metric_output or run.project.evaluate.output
    try:
        outputs = np.asarray(output_of(given, wanted))
        assert items.labels is not None  # noqa: S101  (supply has checked it)
        if len(outputs) != len(items.labels):
            message = (
                f"{given.measured.id} gave {len(outputs)} answers to {len(items.labels)} items"
            )
            raise RunnerError("EK-RUNNER-005", message)
        found = metrics.measure(items.metric, items.labels, outputs)
    except RunnerError as error:
        if strict:
            raise
        failed = replace(
            given.measured, status=Status.INCOMPATIBLE, problem=problem(error), metric=None
        )
        return replace(given, measured=failed, outputs=None)
    return replace(given, measured=replace(given.measured, metric=found), answers=outputs)


def runs(given: Given) -> CheckResult:
    """Whether the model ran on its device, as a check."""
    one = given.measured
    message = one.problem or f"answered {one.items:,} items"
    return CheckResult("runs", one.id, one.device, one.status, message)


def settings(run: Run, items: Items, asked: Asked) -> Mapping[str, Json]:
    """What the figures depend on besides models and devices."""
    options = run.plan.options
    return {
        "metric": items.metric.name,
        "direction": items.metric.direction,
        "bounded": items.metric.bounded,
        "items": len(items.index),
        "limit": options.limit,
        "seed": options.seed,
        "preprocess": {"scale": items.preprocess.scale, "offset": items.preprocess.offset},
        **asked.runner_options,
    }
