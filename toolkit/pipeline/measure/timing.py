"""Models timed side by side, in turns over fresh launches, against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgekit.errors import EdgekitError
from edgekit.evaluation.latency import TENSORFLOW, Timed, Timings, allowed, time_side_by_side
from edgekit.gate import decide
from edgekit.pipeline import stage_results
from edgekit.pipeline.items import Items
from edgekit.pipeline.measure.measure_options import MeasureOptions
from edgekit.pipeline.measure.model_on_device import Answered, ModelOnDevice, problem
from edgekit.pipeline.run import Run
from edgekit.pipeline.side_by_side import inputs_of
from edgekit.types import Advice, Status


def timed(
    run: Run, models: Sequence[ModelOnDevice], items: Items, options: MeasureOptions
) -> Timings | None:
    """Time all models beside the first, until the budget is decided; None where nothing was timed.

    What TensorFlow runs is timed only where asked for: it takes seconds to start.
    """
    sides = [
        _timed(answered, options) for model in models if (answered := model.answered) is not None
    ]
    if options.latency is False or len(sides) < 2:
        return None
    if any(side.runtime == TENSORFLOW for side in sides) and not options.latency:
        message = "latency was not timed beside TensorFlow, which takes seconds to start"
        run.advise(Advice("EK-NOTE-026", "info", message, "--latency times it"))
        return None
    budget = options.max_slowdown

    def decided(so_far: Timings) -> bool:
        ratios = [so_far.ratio(name) for name in so_far.names if name != so_far.first]
        limit = 1 + (budget or 0.0)
        return all(decide(r, limit, so_far.noise) is not Status.INCONCLUSIVE for r in ratios)

    with run.stage("latency") as stage:
        try:
            timings = time_side_by_side(
                sides,
                inputs_of(items),
                local=run.device,
                progress=run.progress.update,
                protocol=allowed(options.launches),
                lasting=budget is None,
                decided=decided if budget is not None else None,
            )
            stage.result = stage_results.times(
                (name, timings.latency(name)) for name in timings.names
            )
            return timings
        except EdgekitError as error:
            run.note(False)
            message = f"latency is unavailable, because {problem(error)}"
            run.advise(Advice("EK-NOTE-005", "warning", message))
            return None


def _timed(answered: Answered, options: MeasureOptions) -> Timed:
    return replace(
        answered.subject.timed(answered.items.inputs),
        threads=options.threads or 1,
        delegate=options.delegate or "",
        arena=options.arena,
        inputs=answered.items.inputs,
    )
