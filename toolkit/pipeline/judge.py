"""The judging stages: metric, drop, parity, memory, latency, and the other runtimes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgekit.decoding import decode
from edgekit.errors import DeviceError, RunnerError
from edgekit.evaluation import metrics
from edgekit.evaluation.flips import flips
from edgekit.evaluation.latency import REFERENCE, TENSORFLOW, Timed
from edgekit.evaluation.parity import Floats, open_outputs, parity
from edgekit.gate import own_device
from edgekit.gate.lock import LOCAL
from edgekit.pipeline import stage_results
from edgekit.pipeline.abreast import abreast
from edgekit.pipeline.answers import JUDGE, answers, answers_of, timed
from edgekit.pipeline.arena import NOT_ASKED, with_arena
from edgekit.pipeline.early_runner import EarlyRunner
from edgekit.pipeline.headline import unclear
from edgekit.pipeline.items import Items
from edgekit.pipeline.locked_files import locked_files
from edgekit.pipeline.matrix import try_runtimes
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import figure, floor, metric_key, taken, truths
from edgekit.pipeline.side_by_side import inputs_of, key_of, latency_budgets, time_models
from edgekit.pipeline.timed_launches import keep_samples, note_samples
from edgekit.project import Budgets
from edgekit.store import Artefact
from edgekit.targets import catalog
from edgekit.types import (
    Advice,
    Candidate,
    Evaluation,
    Json,
    Latency,
    Measurement,
    Memory,
    PairedCounts,
    Part,
    RuntimeResult,
    SavedModel,
    Status,
)

UNCOMPRESSED = "uncompressed"
UNTIMED = "latency is unavailable, because"


@dataclass(frozen=True)
class ReferenceAnswers:
    """What the reference answered to the items: its outputs, by their names in the file."""

    artefact: Artefact
    outputs: Mapping[str, Floats]


def evaluate(
    run: Run, reference: SavedModel, candidates: tuple[Candidate, ...], items: Items
) -> tuple[Evaluation, tuple[Candidate, ...]]:
    """Judge the reference and every candidate on the same items; nothing where not asked to."""
    if not run.plan.options.evaluate:
        return Evaluation(), candidates
    with run.stage("evaluate") as stage, abreast(run) as threads:
        run.progress.update(0, len(candidates) + 1, reference.title)
        awaited = threads.submit(answered, run, reference, items)
        # A slow reference leaves time for its candidates.
        able = [each for each in candidates if not each.problem and each.path is not None]
        theirs = {each.id: threads.submit(answers_of, run, each, items) for each in able}
        output, expected = output_of(reference, items), awaited.result()
        base = _reference_evaluation(run, expected, items)
        judged = tuple(
            _judge(run, candidate, expected, items, number, theirs.get(candidate.id))
            for number, candidate in enumerate(candidates, 1)
        )
        stage.result = stage_results.metrics(reference.title, base, judged, items)
    with run.stage("runtimes") as stage, abreast(run) as threads:
        tried = [threads.submit(try_runtimes, run, each, output, items) for each in judged]
        judged = tuple(with_arena(run, each.result(), items) for each in tried)
        stage.result = stage_results.runtimes(judged)
    with run.stage("latency") as stage:
        base, judged = _time(run, reference, base, judged, items)
        stage.result = stage_results.latencies(judged)
    return base, judged


def start_reference(run: Run, reference: SavedModel, items: Items) -> None:
    """Start TensorFlow for the reference's answers and times, while data is linted and candidates
    are made.

    Where nothing has needed a worker yet, all may lie in the store.
    """
    if not run.plan.options.evaluate or reference.runtime != TENSORFLOW or not run.worker.started:
        return
    with contextlib.suppress(DeviceError, RunnerError):
        outputs = run.reference_outputs
        side = _reference(reference, items)
        run.early = EarlyRunner.start(side, inputs_of(items), run.device, outputs, run.ahead)
        run.ahead = None


def output_of(reference: SavedModel, items: Items) -> str:
    """Choose the output that the metric is taken on; the first where a function takes them all.

    Raises :class:`ProjectError` where there are several and nothing says which.
    """
    names = [spec.name for spec in reference.outputs]
    if not items.output and len(names) > 1 and not items.takes_all:
        raise unclear(names)
    return items.output or names[0]


def metric_of(
    run: Run, reference: SavedModel, path: Path, digest: str, items: Items
) -> Measurement:
    """Measure the run's metric on another SavedModel with the reference's outputs, as a compressed
    one.
    """
    return metrics_of(run, replace(reference, path=path, digest=digest), items)[items.metric.name]


def metrics_of(run: Run, reference: SavedModel, items: Items) -> Mapping[str, Measurement]:
    """Measure every judged metric of a reference, the headline first."""
    return _reference_evaluation(run, answered(run, reference, items), items).metrics


def answered(run: Run, reference: SavedModel, items: Items) -> ReferenceAnswers:
    """Run the reference on the items."""
    kept = answers(run, _reference(reference, items), reference.digest, items)
    own = {spec.name: reference.own_outputs.get(spec.name, spec.name) for spec in reference.outputs}
    outputs = open_outputs(kept.path / "outputs", tuple(own.values()))
    return ReferenceAnswers(kept, {name: outputs[called] for name, called in own.items()})


def _reference_evaluation(run: Run, expected: ReferenceAnswers, items: Items) -> Evaluation:
    outputs = expected.outputs
    if any(len(values) != len(items.index) for values in outputs.values()):
        raise RunnerError("EK-RUNNER-005", "the reference gave another number of answers")
    digest = expected.artefact.digest
    key = _key(run, items, answers=digest, floor=metrics.ULPS)

    def make(_: Path) -> Mapping[str, Json]:
        measured, floors = {}, {}
        for name, view in items.figures():
            scores = taken(run, view, outputs)
            measured[name] = figure(
                view, partial(metrics.measure, view.metric, truths(view), scores)
            )
            if least := floor(view, outputs, scores):
                floors[name] = float(least)
        parts = _parts(run, items, outputs)
        return dataclasses.asdict(Evaluation(metrics=measured, floor=floors, parts=parts))

    evaluation = decode(run.obtain("evaluation", key, make).facts, Evaluation)
    return replace(evaluation, memory=memory_of(expected.artefact))


def _key(run: Run, items: Items, **parts: Json) -> dict[str, Json]:
    """Build the store key of what is measured of answers."""
    return run.key(**parts, metric=metric_key(run, items), data=items.digest)


def _judge(
    run: Run,
    candidate: Candidate,
    expected: ReferenceAnswers,
    items: Items,
    number: int,
    answers: Future[Artefact] | None,
) -> Candidate:
    run.progress.update(number, len(run.plan.planned_files) + 1, candidate.id)
    return (
        candidate if answers is None else _judged(run, candidate, expected, items, answers.result)
    )


def judge(run: Run, reference: SavedModel, candidate: Candidate, items: Items) -> Candidate:
    """Measure metric, drop and parity of a candidate that has a file, on every judged item."""
    expected = answered(run, reference, items)
    return _judged(run, candidate, expected, items, partial(answers_of, run, candidate, items))


def _judged(
    run: Run,
    candidate: Candidate,
    expected: ReferenceAnswers,
    items: Items,
    answers: Callable[[], Artefact],
) -> Candidate:
    """Judge a candidate by its ``answers``, or by the error that they raise."""
    try:
        kept = answers()
        evaluation = _compared(run, kept, expected, items)
    except RunnerError as error:
        run.note(False)
        problem = f"{error.code} {error.message}\n{error.hint}".strip()
        return replace(candidate, problem=problem, problem_status=Status.INCOMPATIBLE)
    message, count = "judged on every item", len(items.index)
    ran = RuntimeResult(JUDGE, kept.facts["version"], Status.PASSED, message, count, 0.0)
    evaluation = replace(evaluation, memory=memory_of(kept), runtimes=(ran,))
    return replace(candidate, evaluation=evaluation)


def _compared(run: Run, kept: Artefact, expected: ReferenceAnswers, items: Items) -> Evaluation:
    """Compare a candidate's outputs with the reference's. Raises RunnerError where one is not
    finite.
    """
    # What was kept before flips were counted lacks them.
    answered = {"answers": kept.digest, "reference": expected.artefact.digest}
    key = _key(run, items, **answered, flips=True)

    def make(_: Path) -> Mapping[str, Json]:
        outputs = open_outputs(kept.path / "outputs", tuple(expected.outputs))
        parts = _parts(run, items, outputs)
        lost = {n: _lost(run, view, expected.outputs, outputs) for n, view in items.figures()}
        ours, theirs = taken(run, items, outputs), taken(run, items, expected.outputs)
        evaluation = Evaluation(
            flips=flips(ours, theirs, items.metric),
            metrics={name: metric for name, (metric, _, _) in lost.items()},
            drop={name: drop for name, (_, drop, _) in lost.items()},
            paired={name: counts for name, (_, _, counts) in lost.items() if counts},
            parity={name: parity(expected.outputs[name], value) for name, value in outputs.items()},
            parts=parts,
        )
        return dataclasses.asdict(evaluation)

    return decode(run.obtain("evaluation", key, make).facts, Evaluation)


def _parts(run: Run, items: Items, outputs: Mapping[str, Floats]) -> tuple[Part, ...]:
    """Measure the headline's metric class by class."""
    answers = taken(run, items, outputs)
    return metrics.parts(items.metric, truths(items), answers, items.class_names)


def _lost(
    run: Run, items: Items, reference: Mapping[str, Floats], answers: Mapping[str, Floats]
) -> tuple[Measurement, Measurement, PairedCounts | None]:
    """Measure one metric of the candidate, and its drop against the reference."""
    labels, ours = truths(items), taken(run, items, answers)
    metric = figure(items, partial(metrics.measure, items.metric, labels, ours))
    lost, counts = metric, None
    # What is only shown, and cannot be had, has no drop for the same reason.
    if not (items.shown_only and metric.how == "unavailable"):
        lost, counts = metrics.drop(items.metric, labels, taken(run, items, reference), ours)
    return metric, lost, counts


def _reference(model: SavedModel, items: Items) -> Timed:
    own = model.own_inputs
    inputs = {own[name]: path for name, path in items.inputs.items()} if own else None
    return Timed(
        REFERENCE,
        model.path,
        model.runtime,
        model.stateful,
        inputs=inputs,
        signature=model.signature,
        states=model.carried(items.inputs),
    )


def memory_of(artefact: Artefact) -> Memory:
    """Read the memory that a model's runner held from its facts."""
    measured = artefact.facts["memory"]
    peak = Measurement.unavailable("byte", "this system does not report a process's peak memory")
    if measured["peak_bytes"]:
        over = float(measured["peak_bytes"] - measured["baseline_bytes"])
        tool = "VmHWM of a runner holding one model, over the imported runtime"
        peak = Measurement(over, "byte", n=1, tool=tool)
    return Memory(peak, Measurement.unavailable("byte", NOT_ASKED))


def _time(
    run: Run,
    reference: SavedModel,
    base: Evaluation,
    candidates: tuple[Candidate, ...],
    items: Items,
) -> tuple[Evaluation, tuple[Candidate, ...]]:
    able = [candidate for candidate in candidates if not candidate.problem and candidate.path]
    models = [_reference(reference, items), *(timed(each, items) for each in able)]
    budgets = _budgets(run)
    locked = locked_files(run, LOCAL, candidates, items, JUDGE)
    key = run.key(
        "tensorflow",
        "ai-edge-litert",
        reference=reference.digest,
        candidates=[[c.id, c.sha256, c.signature] for c in candidates if not c.problem],
        **items.key,
        **key_of(budgets, locked),
        device=dict(run.device.facts()),
    )

    def make(folder: Path) -> Mapping[str, Json]:
        timings = time_models(run, run.device, models, items, budgets, locked)
        keep_samples(timings, folder)
        return {
            name: {
                "latency": dataclasses.asdict(locked.latency(timings, name)),
                "ratio": dataclasses.asdict(timings.ratio(name)),
                "uncompressed": dataclasses.asdict(timings.ratio(name, uncompressed(name)))
                if uncompressed(name) in timings.names
                else None,
            }
            for name in timings.names
        }

    try:
        kept = run.obtain("latency", key, make)
    except RunnerError as error:
        run.note(False)
        run.advise(Advice("EK-NOTE-005", "warning", f"{UNTIMED} {error.message}", error.hint))
        return base, candidates
    facts = kept.facts
    note_samples(run, kept)
    judged = tuple(
        replace(c, evaluation=_with_latency(c.evaluation, facts[c.id], True))
        if c.id in facts
        else c
        for c in candidates
    )
    return _with_latency(base, facts[REFERENCE], False), judged


def _budgets(run: Run) -> tuple[Budgets, ...]:
    """Collect the latency budgets that apply to this host."""
    here = [
        table.budgets
        for name, table in run.plan.targets.items()
        if name == catalog.host() and not own_device(name, table)
    ]
    here += [table.budgets for table in run.project.candidates.values()]
    most = run.plan.options.max_latency
    if most is not None and (here or run.plan.all_precisions_count):
        here = [each.model_copy(update={"latency_p50": most}) for each in here or [Budgets()]]
    return latency_budgets(here)


def uncompressed(name: str) -> str:
    """Name the candidate of the same precision that is made of the uncompressed model."""
    return f"{name}@{UNCOMPRESSED}"


def _with_latency(evaluation: Evaluation, facts: Mapping[str, Json], compared: bool) -> Evaluation:
    latency = decode(facts["latency"], Latency)
    ratio = Measurement(**facts["ratio"]) if compared else None
    smaller = Measurement(**facts["uncompressed"]) if facts.get("uncompressed") else None
    return replace(evaluation, latency=latency, latency_ratio=ratio, uncompressed_ratio=smaller)
