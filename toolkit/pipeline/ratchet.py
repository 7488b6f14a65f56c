"""The lock of the project, which a conversion is held against before it packs anything."""

from __future__ import annotations

from edgekit.gate import Waivers
from edgekit.gate.lock import Baseline, lock_of, standing, tolerances
from edgekit.pipeline.run import Run
from edgekit.types import Report


def lock_for(run: Run) -> Baseline | None:
    """Return the lock that a run is held against, if any. Raises :class:`LockError`.

    A model that no project file names is held only against a lock that has it.
    """
    lock = lock_of(run.project.root)
    known = lock is not None and run.plan.name in {entry.tag.model for entry in lock.entries}
    return lock if run.project.origin is not None or known else None


def held(run: Run, report: Report) -> Report:
    """Return a judged run as it stands by ``edgekit.lock`` beside the project, and by its waivers.

    A run that evaluated nothing is held against none.
    """
    project, options = run.project, run.plan.options
    if not options.evaluate:
        return report
    waivers = Waivers(tuple(table.waiver for table in project.waiver))
    whole = not (options.precisions_asked or options.targets_asked)
    allowed = tolerances(project.lock)
    done = standing(report, lock_for(run), allowed, waivers, run.plan.targets, whole)
    for advice in done.advice:
        run.advise(advice)
    return done
