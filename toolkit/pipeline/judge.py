"""The judging stages: metric, drop, parity, memory, latency, and the other runtimes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.errors import DeviceError, ProjectError, RunnerError
from edgekit.evaluation import latency as timing
from edgekit.evaluation import metrics
from edgekit.evaluation.latency import REFERENCE, Timed
from edgekit.evaluation.parity import Floats, open_outputs, parity
from edgekit.gate.checks import DEFAULT_PERCENT, Limit
from edgekit.pipeline.answers import answers, request
from edgekit.pipeline.arena import NOT_ASKED, affordable, with_arena
from edgekit.pipeline.float_file import ends
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import metric_key, taken, truths
from edgekit.pipeline.supply import Items
from edgekit.store import Artefact
from edgekit.targets import catalog
from edgekit.targets.runners import DISTRIBUTION, RUNNER_FILES
from edgekit.types import (
    Advice,
    Candidate,
    Evaluation,
    Json,
    Latency,
    Measurement,
    Memory,
    PairedCounts,
    RuntimeResult,
    SavedModel,
    Status,
)

JUDGE = "litert"
UNCOMPRESSED = "uncompressed"
# How many items another runtime must answer as the judging one does.
MATRIX_ITEMS = 200


def evaluate(
    run: Run, reference: SavedModel, candidates: tuple[Candidate, ...], items: Items
) -> tuple[Evaluation, tuple[Candidate, ...]]:
    """Judge the reference and every candidate on the same items; nothing where not asked to."""
    if not run.plan.options.evaluate:
        return Evaluation(), candidates
    subject = _reference(reference)
    with run.stage("evaluate"):
        run.progress.update(0, len(candidates) + 1, "SavedModel")
        truth = answers(run, subject, reference.digest, items)
        output = _output(run, reference)
        names = tuple(spec.name for spec in reference.outputs)
        right = open_outputs(truth.path / "outputs", names)
        base = _reference_evaluation(run, truth, right, output, items)
        judged = tuple(
            _judge(run, candidate, truth, right, output, items, number)
            for number, candidate in enumerate(candidates, 1)
        )
    with run.stage("runtimes"):
        judged = tuple(_try_runtimes(run, candidate, output, items) for candidate in judged)
        judged = tuple(with_arena(run, candidate, items) for candidate in judged)
    with run.stage("latency"):
        return _time(run, reference, base, judged, items)


def _output(run: Run, reference: SavedModel) -> str:
    """The output that the metric is taken on. Raises where there are several and none is named."""
    names = [spec.name for spec in reference.outputs]
    wanted = run.project.evaluate.output
    if wanted is not None and wanted not in names:
        raise run.project.unknown("output", wanted, names)
    if wanted is None and len(names) > 1:
        message = f"the model has {len(names)} outputs: {', '.join(names)}"
        hint = f'say which one the metric is taken on: [evaluate] output = "{names[0]}"'
        raise ProjectError("EK-PROJECT-010", message, hint)
    return wanted or names[0]


def metric_of(
    run: Run, reference: SavedModel, path: Path, digest: str, items: Items
) -> Measurement:
    """The run's metric of another SavedModel with the reference's outputs, such as a compressed."""
    truth = answers(run, Timed("SavedModel", path, "tensorflow"), digest, items)
    output = _output(run, reference)
    given = open_outputs(truth.path / "outputs", tuple(spec.name for spec in reference.outputs))
    found = _reference_evaluation(run, truth, given, output, items)
    return found.metrics[items.metric.name]


def _reference_evaluation(
    run: Run, truth: Artefact, given: Mapping[str, Floats], output: str, items: Items
) -> Evaluation:
    if len(given[output]) != len(items.index):
        raise RunnerError("EK-RUNNER-005", "the SavedModel gave another number of answers")
    key = run.key(answers=truth.digest, metric=metric_key(run, items), data=items.digest)

    def make(_: Path) -> Mapping[str, Json]:
        scores = taken(run, items, given, output)
        return dataclasses.asdict(metrics.measure(items.metric, truths(items), scores))

    found = run.keep(run.store.obtain("metric", key, make))
    return Evaluation(
        metrics={items.metric.name: Measurement(**found.facts)}, memory=memory_of(truth)
    )


def _judge(
    run: Run, candidate: Candidate, truth: Artefact, reference: Mapping[str, Floats], output: str,
    items: Items, number: int,
) -> Candidate:  # fmt: skip
    run.progress.update(number, len(run.plan.planned_files) + 1, candidate.id)
    if candidate.problem or candidate.path is None:
        return candidate
    return _judged(run, candidate, truth, reference, output, items)


def judge(run: Run, reference: SavedModel, candidate: Candidate, items: Items) -> Candidate:
    """A candidate that has a file with its metric, drop and parity on every judged item."""
    truth = answers(run, Timed(REFERENCE, reference.path, "tensorflow"), reference.digest, items)
    names = tuple(spec.name for spec in reference.outputs)
    right = open_outputs(truth.path / "outputs", names)
    return _judged(run, candidate, truth, right, _output(run, reference), items)


def _judged(
    run: Run, candidate: Candidate, truth: Artefact, reference: Mapping[str, Floats], output: str,
    items: Items,
) -> Candidate:  # fmt: skip
    try:
        answered = answers_of(run, candidate, items)
        facts = _compared(run, answered, truth, reference, output, items)
    except RunnerError as error:
        run.note(False)
        problem = f"{error.code} {error.message}\n{error.hint}".strip()
        return replace(candidate, problem=problem, problem_status=Status.INCOMPATIBLE)
    name = items.metric.name
    paired = {name: PairedCounts(**facts["paired"])} if facts["paired"] else {}
    evaluation = Evaluation(
        metrics={name: Measurement(**facts["metric"])},
        drop={name: Measurement(**facts["drop"])},
        paired=paired,
        parity={n: {k: Measurement(**m) for k, m in p.items()} for n, p in facts["parity"].items()},
        memory=memory_of(answered),
        runtimes=(
            RuntimeResult(
                JUDGE, answered.facts["version"], Status.PASSED, "judged on every item",
                len(items.index), 0.0,
            ),
        ),
    )  # fmt: skip
    return replace(candidate, evaluation=evaluation)


def _compared(
    run: Run, answered: Artefact, truth: Artefact, reference: Mapping[str, Floats], output: str,
    items: Items,
) -> Mapping[str, Json]:  # fmt: skip
    """The candidate's metric, drop and parity; raises RunnerError where an output is not finite."""
    key = run.key(
        answers=answered.digest, reference=truth.digest, metric=metric_key(run, items),
        data=items.digest,
    )  # fmt: skip

    def make(_: Path) -> Mapping[str, Json]:
        answers = open_outputs(answered.path / "outputs", tuple(reference))
        return _compare(run, items, output, reference, answers)

    return run.keep(run.store.obtain("metric", key, make)).facts


def _compare(
    run: Run, items: Items, output: str, reference: Mapping[str, Floats],
    answers: Mapping[str, Floats],
) -> Mapping[str, Json]:  # fmt: skip
    labels, ours = truths(items), taken(run, items, answers, output)
    lost, counts = metrics.drop(items.metric, labels, taken(run, items, reference, output), ours)
    return {
        "metric": dataclasses.asdict(metrics.measure(items.metric, labels, ours)),
        "drop": dataclasses.asdict(lost),
        "paired": dataclasses.asdict(counts) if counts else None,
        "parity": {
            name: {k: dataclasses.asdict(m) for k, m in parity(reference[name], value).items()}
            for name, value in answers.items()
        },
    }


def answers_of(run: Run, candidate: Candidate, items: Items) -> Artefact:
    """The outputs of a candidate on the judging runtime, on every judged item."""
    return answers(run, _timed(candidate), candidate.sha256, items)


def _reference(model: SavedModel) -> Timed:
    return Timed(REFERENCE, model.path, model.runtime, model.stateful)


def _timed(candidate: Candidate, runtime: str = JUDGE) -> Timed:
    assert candidate.path is not None  # noqa: S101  (only candidates with a file get here)
    stateful = flatbuffer.read(candidate.path).stateful
    return Timed(candidate.id, candidate.path, runtime, stateful)


def memory_of(artefact: Artefact) -> Memory:
    """The memory that a model's runner held, from its facts."""
    measured = artefact.facts["memory"]
    peak = Measurement.unavailable("byte", "this system does not tell a process's peak memory")
    if measured["peak_bytes"]:
        over = float(measured["peak_bytes"] - measured["baseline_bytes"])
        tool = "VmHWM of a runner holding one model, over the imported runtime"
        peak = Measurement(over, "byte", n=1, tool=tool)
    return Memory(peak, Measurement.unavailable("byte", NOT_ASKED))


def _try_runtimes(run: Run, candidate: Candidate, output: str, items: Items) -> Candidate:
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
    key = run.key(
        DISTRIBUTION[runtime], DISTRIBUTION[JUDGE],
        runtime=runtime, candidate=candidate.sha256, output=output, data=items.digest,
        index=str(items.index_path.parent.name), metric=metric_key(run, items),
        preprocess=[items.preprocess.scale, items.preprocess.offset],
    )  # fmt: skip

    def make(folder: Path) -> Mapping[str, Json]:
        result = _execute(run, candidate, runtime, output, items, folder)
        return {**dataclasses.asdict(result), "status": result.status.value}

    try:
        facts = run.keep(run.store.obtain("runtime", key, make)).facts
    except DeviceError as error:
        run.note(False)
        return RuntimeResult(runtime, version, Status.UNAVAILABLE, error.hint or error.message)
    return RuntimeResult(**{**facts, "status": Status(facts["status"])})


def _execute(
    run: Run, candidate: Candidate, runtime: str, output: str, items: Items, folder: Path
) -> RuntimeResult:
    """Run the first items on another runtime, and compare with the judging one's answers."""
    count = min(MATRIX_ITEMS, len(items.index))
    asked = request(_timed(candidate, runtime), items, folder / "outputs")
    try:
        count = affordable(run, asked, count)
        result = run.device.run({**asked, "items": [0, count]})
    except RunnerError as error:
        reason = error.hint.splitlines()[0] if error.hint else error.message
        version = run.versions[DISTRIBUTION[runtime]]
        return RuntimeResult(runtime, version, Status.INCOMPATIBLE, reason)
    assert candidate.path is not None  # noqa: S101  (only candidates with a file get here)
    names = tuple(spec.name for spec in ends(flatbuffer.read(candidate.path))[1])
    kept = answers_of(run, candidate, items).path / "outputs"
    got = {name: value[:count] for name, value in open_outputs(folder / "outputs", names).items()}
    expected = {name: value[:count] for name, value in open_outputs(kept, names).items()}
    status, message = _agree(run, items, output, got, expected)
    worst = float(np.max(np.abs(got[output] - expected[output])))
    return RuntimeResult(
        runtime, result["version"], status, message, count,
        worst if np.isfinite(worst) else None,
    )  # fmt: skip


def _agree(
    run: Run, items: Items, output: str, theirs: Mapping[str, Floats], ours: Mapping[str, Floats]
) -> tuple[Status, str]:
    """Whether another runtime's answers do not prove worse than the judging one's."""
    if not all(np.isfinite(value).all() for value in theirs.values()):
        return Status.INCOMPATIBLE, "it gives NaN or infinite outputs"
    count = len(theirs[output])
    labels = truths(items, count)
    got, expected = taken(run, items, theirs, output), taken(run, items, ours, output)
    lost, _ = metrics.drop(items.metric, labels, expected, got)
    limit = 0.02
    if not items.metric.bounded:
        base = metrics.measure(items.metric, labels, expected)
        limit = Limit(DEFAULT_PERCENT, percent=True).absolute(base.value or 0.0)
    if lost.low is not None and lost.low > limit:
        share = f"{lost.value:.3g}"
        return Status.INCOMPATIBLE, f"its answers are worse: {items.metric.name} drops by {share}"
    return Status.PASSED, f"answers {count} items as {JUDGE} does"


def _time(
    run: Run, reference: SavedModel, base: Evaluation, candidates: tuple[Candidate, ...],
    items: Items,
) -> tuple[Evaluation, tuple[Candidate, ...]]:  # fmt: skip
    sides = [_timed(c) for c in candidates if not c.problem and c.path is not None]
    models = [_reference(reference), *sides]
    launches = run.plan.timed_launches
    key = run.key(
        "tensorflow", "ai-edge-litert",
        reference=reference.digest,
        candidates=[[c.id, c.sha256] for c in candidates if not c.problem],
        data=items.digest, index=str(items.index_path.parent.name),
        preprocess=[items.preprocess.scale, items.preprocess.offset],
        protocol=timing.protocol(launches), device=dict(run.device.facts()),
    )  # fmt: skip

    def make(_: Path) -> Mapping[str, Json]:
        samples = timing.collect(
            run.device, models, items.inputs, items.index_path, items.preprocess, launches,
            run.progress.update,
        )  # fmt: skip
        return {
            name: {
                "latency": dataclasses.asdict(timing.summarize(found)),
                "ratio": dataclasses.asdict(timing.ratio(found, samples[REFERENCE])),
                "uncompressed": dataclasses.asdict(timing.ratio(found, samples[uncompressed(name)]))
                if uncompressed(name) in samples
                else None,
            }
            for name, found in samples.items()
        }

    try:
        facts = run.keep(run.store.obtain("latency", key, make)).facts
    except RunnerError as error:
        run.note(False)
        message = f"latency is unavailable, because {error.message}"
        run.advise(Advice("EK-NOTE-005", "warning", message, error.hint))
        return base, candidates
    timed = tuple(
        replace(c, evaluation=_with_latency(c.evaluation, facts[c.id], True))
        if c.id in facts
        else c
        for c in candidates
    )
    return _with_latency(base, facts[REFERENCE], False), timed


def uncompressed(name: str) -> str:
    """The id of the candidate of the same precision made of the uncompressed model."""
    return f"{name}@{UNCOMPRESSED}"


def _with_latency(evaluation: Evaluation, facts: Mapping[str, Json], compared: bool) -> Evaluation:
    latency = Latency(**{name: Measurement(**m) for name, m in facts["latency"].items()})
    ratio = Measurement(**facts["ratio"]) if compared else None
    smaller = Measurement(**facts["uncompressed"]) if facts.get("uncompressed") else None
    return replace(evaluation, latency=latency, latency_ratio=ratio, uncompressed_ratio=smaller)
