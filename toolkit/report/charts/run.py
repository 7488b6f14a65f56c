"""What charts are drawn of: the models of a convert, compare or bench run, in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.types import (
    BenchReport,
    CheckResult,
    Compared,
    Evaluated,
    Latency,
    Measurement,
    Report,
    Status,
)
from edgekit.types.details import CandidateDetails, Details


@dataclass(frozen=True)
class Model:
    """A candidate, a compared model or a row of a bench; ``ships`` names the targets it is for.

    ``drop`` and ``ratio`` (of the median latency) are to the run's reference.
    """

    id: str
    bytes: int
    status: Status
    metric: Measurement | None = None
    drop: Measurement | None = None
    latency: Latency | None = None
    ratio: Measurement | None = None
    ships: tuple[str, ...] = ()
    is_reference: bool = False


@dataclass(frozen=True)
class Run:
    """A run as charts see it: its models, the reference first where there is one, and its checks.

    ``metric`` is empty where none was measured.
    """

    name: str
    models: tuple[Model, ...]
    checks: tuple[CheckResult, ...]
    reference: str = ""
    metric: str = ""
    bounded: bool = False
    higher_is_better: bool = True
    details: Mapping[str, CandidateDetails] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    @property
    def candidates(self) -> tuple[Model, ...]:
        """The models beside the reference, of which there is a file."""
        return tuple(model for model in self.models if model.bytes and not model.is_reference)

    @property
    def shipped(self) -> tuple[Model, ...]:
        """The models that a target ships; where none is, all of which there is a file."""
        found = tuple(model for model in self.models if model.ships)
        return found or tuple(model for model in self.models if model.bytes)

    def details_of(self, model: Model) -> CandidateDetails:
        """Return what there is of a model beyond its row."""
        return self.details.get(model.id) or CandidateDetails()

    def why_absent(self, model: Model, part: str, otherwise: str) -> str:
        """Return why a part of a model's details is not there."""
        if model.id not in self.details:
            return "the run left no details of it"
        return self.details[model.id].absent.get(part) or self.absent.get(part) or otherwise


def of_report(report: Report, details: Details | None = None) -> Run:
    """Return a run of `edgekit convert` or `compress` as charts see it."""
    metric = str(report.settings.get("metric") or "")
    evaluation = report.reference_evaluation
    reference = Model(
        report.reference.title,
        report.reference.bytes,
        Status.PASSED,
        metric=evaluation.metrics.get(metric),
        latency=evaluation.latency,
        is_reference=True,
    )
    ships: dict[str, list[str]] = {}
    for target in report.targets:
        ships.setdefault(target.candidate or "", []).append(target.id)
    candidates = tuple(
        Model(
            each.id,
            each.bytes,
            each.status,
            metric=each.evaluation.metrics.get(metric),
            drop=each.evaluation.drop.get(metric),
            latency=each.evaluation.latency,
            ratio=each.evaluation.latency_ratio,
            ships=tuple(ships.get(each.id, ())),
        )
        for each in report.candidates
    )
    return Run(
        report.run,
        (reference, *candidates),
        report.verdict.checks,
        reference=reference.id,
        metric=metric,
        bounded=bool(report.settings.get("bounded")),
        higher_is_better=report.settings.get("direction") != "lower",
        details=_details(details, reference.id),
        absent=details.absent if details else {},
        training=details.training if details else {},
    )


def of_evaluated(done: Evaluated, details: Details | None = None) -> Run:
    """Return a run of `edgekit evaluate` as charts see it: each model by itself."""
    models = tuple(Model(each.id, each.bytes, each.status, each.metric) for each in done.models)
    return Run(
        done.run,
        models,
        done.verdict.checks,
        metric=str(done.settings.get("metric") or ""),
        bounded=bool(done.settings.get("bounded")),
        higher_is_better=done.settings.get("direction") != "lower",
        details=_details(details, ""),
        absent=details.absent if details else {},
    )


def of_compared(done: Compared, details: Details | None = None) -> Run:
    """Return a run of `edgekit compare` as charts see it: the first model is the reference."""
    contrasts = {contrast.id: contrast for contrast in done.contrasts}
    models = []
    for number, each in enumerate(done.models):
        contrast = contrasts.get(each.id)
        models.append(
            Model(
                each.id,
                each.bytes,
                each.status,
                metric=each.metric,
                drop=contrast.drop if contrast else None,
                latency=done.latency.get(each.id),
                ratio=contrast.latency_ratio if contrast else None,
                is_reference=number == 0,
            )
        )
    return Run(
        done.run,
        tuple(models),
        done.verdict.checks,
        reference=models[0].id,
        metric=str(done.settings.get("metric") or ""),
        bounded=bool(done.settings.get("bounded")),
        higher_is_better=done.settings.get("direction") != "lower",
        details=_details(details, models[0].id),
        absent=details.absent if details else {},
    )


def of_bench(done: BenchReport, details: Details | None = None) -> Run:
    """Return a run of `edgekit bench` as charts see it: a model per row, and no metric."""
    models = tuple(Model(row.id, row.bytes, row.status, latency=row.latency) for row in done.rows)
    return Run(
        done.run,
        models,
        done.verdict.checks,
        details=_details(details, ""),
        absent=details.absent if details else {},
    )


def _details(details: Details | None, reference: str) -> Mapping[str, CandidateDetails]:
    """Return the details by id, the reference's too, which a comparison has among the others."""
    if details is None:
        return {}
    return {reference: details.reference, **details.candidates}
