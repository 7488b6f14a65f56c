"""How large the update from an older model is, where a budget limits it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgekit.gate.limits import stated_budgets
from edgekit.pipeline.run import Run
from edgekit.targets import bundles
from edgekit.types import Candidate, Measurement


def with_deltas(run: Run, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Measure the update of every candidate from the model that ``[bundle] delta_from`` names.

    Of the model file alone: a whole bundle is weighed by ``edgekit bundle --delta-from``.
    """
    older, project = run.project.bundle.delta_from, run.project
    budgets = stated_budgets(run.plan.targets, project.candidates).values()
    if older is None or all(each.delta_size is None for each in budgets):
        return candidates
    old = bundles.read_model(project.root / older)
    with run.stage("updates"):
        return tuple(_with_delta(each, old, older) for each in candidates)


def _with_delta(candidate: Candidate, old: bytes, name: str) -> Candidate:
    if candidate.path is None or candidate.problem:
        return candidate
    count = bundles.model_delta(old, candidate.path.read_bytes())
    return replace(candidate, delta=Measurement(float(count), "byte", tool=Path(name).name))
