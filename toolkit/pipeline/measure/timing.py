"""Models timed side by side, in turns over fresh launches, against the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.errors import EdgekitError
from edgekit.evaluation.latency import LatencyComparison, Timed, compare_latency
from edgekit.pipeline.measure.asked import Asked
from edgekit.pipeline.measure.given import Given, problem
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items
from edgekit.types import Advice


def timed(
    run: Run, found: Sequence[Given], items: Items, asked: Asked
) -> Mapping[str, LatencyComparison]:
    """Every other model's latency against the first's, by id; nothing where it was not timed.

    What TensorFlow runs is timed only where asked for: each of its launches takes seconds to start.
    """
    sides = [one for one in found if one.ready]
    slow = any(one.measured.runtime == "tensorflow" for one in sides)
    if asked.latency is False or len(sides) < 2:
        return {}
    if slow and not asked.latency:
        message = "latency was not timed beside TensorFlow, which takes seconds to start"
        run.advise(Advice("EK-NOTE-026", "info", message, "--latency times it: about a minute"))
        return {}
    with run.stage("latency"):
        try:
            return compare_latency(
                [_timed(one, asked) for one in sides], items.inputs, items.index_path,
                items.preprocess, local=run.device, progress=run.progress.update,
                launches=asked.launches,
            )  # fmt: skip
        except EdgekitError as error:
            run.note(False)
            message = f"latency is unavailable, because {problem(error)}"
            run.advise(Advice("EK-NOTE-005", "warning", message))
            return {}


def _timed(given: Given, asked: Asked) -> Timed:
    subject = given.subject
    assert subject is not None and given.items is not None  # noqa: S101, PT018  (it answered)
    return Timed(
        subject.id, subject.path, subject.device.runtime, subject.model.stateful, subject.device,
        threads=asked.threads or 1, delegate=asked.delegate or "", arena=asked.arena,
        inputs=given.items.inputs, signature=subject.model.signature,
    )  # fmt: skip
