"""Accuracy that int8 loses, brought back by a file of mixed precision."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.converters import flatbuffer, precision_checks
from edgekit.converters.quantization import post_training
from edgekit.converters.quantization.editing import CASTS
from edgekit.errors import ConversionError, WorkerError
from edgekit.gate import Rules, decide, statuses
from edgekit.gate.budgets.metrics import check_goals, largest_drop, show
from edgekit.gate.rules import Basis
from edgekit.pipeline.answers import file_of
from edgekit.pipeline.items import Items
from edgekit.pipeline.judge import judge, metrics_of
from edgekit.pipeline.make import read_back
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import rules_of
from edgekit.pipeline.search import JudgedVariant, OperatorSearch, Outcome
from edgekit.pipeline.variants import Variant, Workshop
from edgekit.project import Budgets
from edgekit.types import (
    Advice,
    Candidate,
    Evaluation,
    Measurement,
    Recovery,
    RecoveryTrial,
    SavedModel,
    Status,
)

PLAIN = "int8"
MIXED = "mixed"
NOT_TIMED = "nothing was timed"


def recover(
    run: Run, model: SavedModel, reference: SavedModel, made: tuple[Candidate, ...], items: Items
) -> tuple[Candidate, ...]:
    """Add a candidate with some operators in float where int8 fails its accuracy budget.

    Its precision is ``mixed``, whatever few operators it has in float. Where the budget cannot be
    reached it is the most accurate that was found. Nothing is done unless the project says so.
    """
    table = run.project.convert.recover
    plain = next((one for one in made if one.id == PLAIN), None)
    if table is None or plain is None:
        return made
    if plain.problem:
        message = "there is no int8 file whose accuracy could be recovered"
        run.advise(Advice("EK-NOTE-020", "warning", message))
        return made
    with run.stage("recover"):
        recovered = _Recovering(run, model, reference, plain, items, table.evaluations).result()
    if recovered is None:
        return made
    name = MIXED if all(one.id != MIXED for one in made) else f"{MIXED}@recovered"
    return (*made, replace(recovered, id=name))


def explained(candidates: tuple[Candidate, ...], rules: Rules) -> tuple[Candidate, ...]:
    """Add latency and a sentence to recovered candidates, once they are timed."""
    return tuple(_explained(one, candidates, rules) if one.recovery else one for one in candidates)


@dataclass
class _Recovering:
    """What a recovery works with."""

    run: Run
    model: SavedModel
    reference: SavedModel
    plain: Candidate
    items: Items
    allowed: int

    def __post_init__(self) -> None:
        run, reference = self.run, self.reference
        self.rules = rules_of(run, self.items)
        self.workshop = Workshop(run, self.model, self.items)
        found = metrics_of(run, reference, self.items)
        self.base = Evaluation(metrics=found)
        value = found[self.rules.metric]
        self.limit = min(largest_drop(value, b.goal, self.rules) for b in self._budgets())

    def _budgets(self) -> list[Budgets]:
        """Collect the accuracy budgets of each target that may ship int8."""
        plan = self.run.plan
        tables = () if plan.all_precisions_count else plan.targets.values()
        found = [table.budgets for table in tables if table.precision in (None, PLAIN)]
        own = plan.project.candidates.get(PLAIN)
        return [*(found or [Budgets()]), *([own.budgets] if own else [])]

    def result(self) -> Candidate | None:
        """Search for the candidate; its id is not yet set."""
        begin = time.monotonic()
        before = judge(self.run, self.reference, self.plain, self.items)
        if before.problem or self._status(before) is Status.PASSED:
            if not before.problem:
                message = "int8 is within its accuracy budget: there is nothing to recover"
                self.run.advise(Advice("EK-NOTE-021", "info", message))
            return None
        if not self._quantizable():
            return None
        lost = _drop(before, self.rules)
        search = OperatorSearch(
            self._judge, self._order, self._can_equalize(), lost, self.limit, self.allowed
        )
        self._search = search
        best = search.best()
        seconds = time.monotonic() - begin
        candidate = best.candidate if best is not None else None
        if best is None or candidate is None or (not best.succeeded and best.drop >= lost):
            message = f"none of {len(search.trials)} files that were judged is better than int8"
            self.run.advise(Advice("EK-NOTE-022", "warning", message))
            return None
        return replace(candidate, recovery=self._recovery(before, best, candidate, seconds))

    def _quantizable(self) -> bool:
        kinds = {kind for kind, _ in self.workshop.ground(equalized=False).operators}
        if kinds & CASTS:
            message = "the model was trained for int8: its ranges cannot be chosen anew"
            fix = "train it longer, or without quantization-aware training"
            self.run.advise(Advice("EK-NOTE-023", "warning", message, fix))
        return not kinds & CASTS

    def _can_equalize(self) -> bool:
        return bool(self.workshop.equalized_file().facts["pairs"])

    def _order(self, equalized: bool) -> list[str]:
        sqnr = self.workshop.sensitivity(self.workshop.ground(equalized))
        return sorted(sqnr, key=lambda name: sqnr[name])

    def _status(self, candidate: Candidate) -> Status:
        """Judge the candidate's metric for the strictest target."""
        checks = [
            check
            for budgets in self._budgets()
            for check in check_goals(Basis(self.base, budgets, self.rules), budgets, candidate)
        ]
        return statuses.worst(check.status for check in checks)

    def _judge(self, variant: Variant) -> JudgedVariant:
        count = len(self._search.trials) + 1
        try:
            artefact = self.workshop.make(variant)
        except (ConversionError, WorkerError):
            self.run.note(False)
            return self._tell(count, JudgedVariant(variant, None, math.inf, "not recovered"))
        candidate = _read_back(artefact.path / post_training.FILE, variant)
        if not candidate.problem:
            candidate = judge(self.run, self.reference, candidate, self.items)
        if candidate.problem:
            return self._tell(count, JudgedVariant(variant, candidate, math.inf, "not recovered"))
        drop = _drop(candidate, self.rules)
        return self._tell(count, JudgedVariant(variant, candidate, drop, self._outcome(candidate)))

    def _tell(self, count: int, trial: JudgedVariant) -> JudgedVariant:
        operators = len(self.workshop.ground(trial.variant.equalized).operators)
        drop = show(trial.drop, self.rules) if math.isfinite(trial.drop) else "unknown"
        kept = f"{len(trial.variant.kept)} of {operators} in float"
        text = f"evaluation {count} of at most {self.allowed}: {kept}, drop {drop}"
        self.run.progress.update(count, self.allowed, text)
        return trial

    def _outcome(self, candidate: Candidate) -> Outcome:
        drop = candidate.evaluation.drop[self.rules.metric]
        status = self._status(candidate)
        if drop.value is None or drop.value > self.limit or status is Status.FAILED:
            return "not recovered"
        proven = decide(drop, self.limit) is Status.PASSED
        return "recovered" if proven and status is Status.PASSED else "not proven"

    def _recovery(
        self, before: Candidate, best: JudgedVariant, after: Candidate, seconds: float
    ) -> Recovery:
        variant = best.variant
        made = self.workshop.make(variant)
        pairs = self.workshop.equalized_file().facts["pairs"] if variant.equalized else ()
        file = flatbuffer.read(file_of(after))
        metric = self.rules.metric
        return Recovery(
            stands_for=before.id,
            outcome=best.outcome,
            evaluations=len(self._search.trials),
            allowed=self.allowed,
            seconds=round(seconds, 3),
            operators=precision_checks.count_computing(file),
            float_operators=precision_checks.computing_in_float(file),
            equalized=len(pairs),
            bias_corrected=int(made.facts["layers"]) if variant.corrected else 0,
            drop_before=before.evaluation.drop[metric],
            drop_after=after.evaluation.drop[metric],
            bytes_before=before.bytes,
            bytes_after=after.bytes,
            latency_ratio=Measurement.unavailable("ratio", NOT_TIMED),
            sentence="",
            trials=tuple(_told(trial, metric) for trial in self._search.trials),
        )


def _drop(candidate: Candidate, rules: Rules) -> float:
    value = candidate.evaluation.drop[rules.metric].value
    return math.inf if value is None else value


def _told(trial: JudgedVariant, metric: str) -> RecoveryTrial:
    evaluation = trial.candidate.evaluation if trial.candidate else Evaluation()
    missing = Measurement.unavailable("", "there is no file that runs")
    variant = trial.variant
    drop = evaluation.drop.get(metric, missing)
    return RecoveryTrial(len(variant.kept), variant.equalized, variant.corrected, drop)


def _read_back(path: Path, variant: Variant) -> Candidate:
    """Return a candidate from a variant's file, which must be what the variant says."""
    candidate = read_back(path, PLAIN)
    if variant.kept:
        wrong = precision_checks.mixed_int8_problem(flatbuffer.read(path))
        problem = f"the file is not {MIXED}: {wrong}" if wrong else ""
        candidate = replace(candidate, problem=problem)
    return replace(candidate, id=MIXED, precision=MIXED)


def _explained(candidate: Candidate, candidates: Sequence[Candidate], rules: Rules) -> Candidate:
    recovery = candidate.recovery
    if recovery is None:
        return candidate
    plain = next(one for one in candidates if one.id == recovery.stands_for)
    ratio = _latency_ratio(candidate.evaluation.latency_ratio, plain.evaluation.latency_ratio)
    recovery = replace(recovery, latency_ratio=ratio)
    return replace(candidate, recovery=replace(recovery, sentence=sentence(recovery, rules)))


def _latency_ratio(ours: Measurement | None, theirs: Measurement | None) -> Measurement:
    """Divide two ratios to the SavedModel, both timed in turns with it."""
    if ours is None or theirs is None or ours.value is None or not theirs.value:
        return Measurement.unavailable("ratio", NOT_TIMED)
    low = ours.low / theirs.high if ours.low is not None and theirs.high else None
    high = ours.high / theirs.low if ours.high is not None and theirs.low else None
    return Measurement(
        ours.value / theirs.value,
        "ratio",
        n=ours.n,
        low=low,
        high=high,
        level=ours.level,
        tool="the quotient of both ratios to the SavedModel",
    )


def sentence(recovery: Recovery, rules: Rules) -> str:
    """Describe what it took and costs: "2 of 31 operators in float: drop 3.1 → 0.6 points, ..."."""
    taken = [f"{len(recovery.float_operators)} of {recovery.operators} operators in float"]
    if recovery.equalized:
        taken.append(f"{recovery.equalized} pairs of layers equalised")
    if recovery.bias_corrected:
        taken.append(f"biases of {recovery.bias_corrected} layers corrected")
    before, after = recovery.drop_before.value or 0.0, recovery.drop_after.value or 0.0
    if rules.bounded:
        drop = f"drop {before * 100:.1f} → {after * 100 + 0.0:.1f} points"
    else:
        drop = f"drop {before:.3g} → {after:.3g}"
    cost = [_kilobytes(recovery.bytes_after - recovery.bytes_before)]
    ratio = recovery.latency_ratio
    if ratio.value is not None:
        cost.append(f"{ratio.value:.2f} times the latency")
    else:
        cost.append(f"latency unavailable, because {ratio.reason}")
    ending = {
        "recovered": "",
        "not proven": f"; not proven on {recovery.drop_after.n:,} items",
        "not recovered": "; the budget is not reached",
    }
    return f"{', '.join(taken)}: {drop}, {', '.join(cost)}{ending[recovery.outcome]}"


def _kilobytes(count: int) -> str:
    return f"{count / 1e3:+.0f} kB" if abs(count) >= 9950 else f"{count / 1e3:+.1f} kB"
