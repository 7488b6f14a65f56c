"""The runtime matrix: candidates executed on every runtime that a target names, and on devices."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.decoding import decode
from edgekit.errors import DeviceError, RunnerError
from edgekit.evaluation import metrics
from edgekit.evaluation.parity import Floats, open_outputs
from edgekit.gate.decision import decide
from edgekit.gate.rules import default_limit
from edgekit.pipeline.answers import JUDGE, answers_of, file_of, request, timed
from edgekit.pipeline.arena import affordable
from edgekit.pipeline.float_file import ends
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import floor, metric_key, taken, truths
from edgekit.targets import catalog
from edgekit.targets.devices import Transport
from edgekit.targets.runners import DISTRIBUTION, RUNNER_FILES
from edgekit.types import Advice, Candidate, Json, RuntimeResult, Status, TensorSpec

# How many items another runtime must answer as the judging one does.
MATRIX_ITEMS = 200


def try_runtimes(run: Run, candidate: Candidate, output: str, items: Items) -> Candidate:
    """Execute a candidate on every other runtime that a target of the run names."""
    if candidate.problem or candidate.path is None:
        return candidate
    named = {
        runtime.name: runtime.version
        for target in run.plan.targets
        for runtime in catalog.load(target).runtimes
        if runtime.name != JUDGE
    }
    tried = [_try(run, candidate, name, v, output, items) for name, v in sorted(named.items())]
    for result in tried:
        if result.status is Status.UNAVAILABLE:
            message = f"{result.runtime} was not tried: {result.message}"
            run.advise(Advice("EK-NOTE-004", "warning", message))
    runtimes = (*candidate.evaluation.runtimes, *tried)
    return replace(candidate, evaluation=replace(candidate.evaluation, runtimes=runtimes))


def _try(
    run: Run, candidate: Candidate, runtime: str, version: str, output: str, items: Items
) -> RuntimeResult:
    if runtime not in RUNNER_FILES:
        reason = f"this version has no runner for {runtime}"
        return RuntimeResult(runtime, version, Status.UNAVAILABLE, reason)
    packages = DISTRIBUTION[runtime], DISTRIBUTION[JUDGE]
    here = run.versions[packages[0]]
    try:
        return execute(run, run.device, candidate, runtime, here, output, items, *packages)
    except DeviceError as error:
        run.note(False)
        return RuntimeResult(runtime, version, Status.UNAVAILABLE, error.hint or error.message)


def execute(
    run: Run,
    device: Transport,
    candidate: Candidate,
    runtime: str,
    version: str,
    output: str,
    items: Items,
    *distributions: str,
    **parts: Json,
) -> RuntimeResult:
    """Compare the first items' answers on a runtime of a device with the judging one's.

    ``distributions`` and ``parts`` are what else the result depends on. Raises
    :class:`DeviceError` where the runtime or the device is not there.
    """
    key = run.key(
        *distributions,
        **parts,
        runtime=runtime,
        candidate=candidate.sha256,
        output=output,
        **items.key,
        metric=metric_key(run, items),
        **({"signature": candidate.signature} if candidate.signature else {}),
    )

    def make(folder: Path) -> Mapping[str, Json]:
        result = _executed(run, device, candidate, runtime, version, output, items, folder)
        return {**dataclasses.asdict(result), "status": result.status.value}

    return decode(run.obtain("runtime", key, make).facts, RuntimeResult)


def _executed(
    run: Run,
    device: Transport,
    candidate: Candidate,
    runtime: str,
    version: str,
    output: str,
    items: Items,
    folder: Path,
) -> RuntimeResult:
    count = min(MATRIX_ITEMS, len(items.index))
    answering = request(timed(candidate, items, runtime), items, folder / "outputs")
    try:
        count = affordable(device, answering, count)
        result = device.run(replace(answering, items=(0, count)))
    except RunnerError as error:
        reason = error.hint.splitlines()[0] if error.hint else error.message
        return RuntimeResult(runtime, version, Status.INCOMPATIBLE, reason)
    names = tuple(spec.name for spec in _outputs(candidate))
    kept = answers_of(run, candidate, items).path / "outputs"
    got = {name: value[:count] for name, value in open_outputs(folder / "outputs", names).items()}
    expected = {name: value[:count] for name, value in open_outputs(kept, names).items()}
    status, message = _agree(run, items, got, expected)
    worst = float(np.max(np.abs(got[output] - expected[output])))
    return RuntimeResult(
        runtime,
        result["version"],
        status,
        message,
        count,
        worst if np.isfinite(worst) else None,
    )


def _outputs(candidate: Candidate) -> tuple[TensorSpec, ...]:
    return ends(flatbuffer.read(file_of(candidate)), signature=candidate.signature)[1]


def _agree(
    run: Run, items: Items, theirs: Mapping[str, Floats], ours: Mapping[str, Floats]
) -> tuple[Status, str]:
    """Decide whether another runtime's outputs are as good as the judging one's."""
    if not all(np.isfinite(value).all() for value in theirs.values()):
        return Status.INCOMPATIBLE, "it gives NaN or infinite outputs"
    count = len(next(iter(theirs.values())))
    for name, view in items.views():
        labels = truths(view, count)
        got, expected = taken(run, view, theirs), taken(run, view, ours)
        lost, _ = metrics.drop(view.metric, labels, expected, got)
        limit, base = default_limit(view.metric.bounded), 0.0
        if limit.percent:
            base = metrics.measure(view.metric, labels, expected).value or 0.0
        if decide(lost, limit.absolute(base, floor(view, ours, expected))) is Status.FAILED:
            share = f"{lost.value:.3g}"
            return Status.INCOMPATIBLE, f"its answers are worse: {name} drops by {share}"
    return Status.PASSED, f"answers {count} items as {JUDGE} does"
