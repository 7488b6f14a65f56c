"""The lock of the project, which a conversion is held against before it packs anything."""

from __future__ import annotations

from edgekit.gate import Waivers
from edgekit.gate.lock import lock_of, standing, tolerances
from edgekit.pipeline.run import Run
from edgekit.types import Report


def held(run: Run, report: Report) -> Report:
    """Return a judged run as it stands by ``edgekit.lock`` beside the project, and by its waivers.

    A model that no project file names is held only against a lock that has it, and a run that
    evaluated nothing against none.
    """
    project, options = run.project, run.plan.options
    if not options.evaluate:
        return report
    lock = lock_of(project.root)
    known = lock is not None and run.plan.name in {entry.tag.model for entry in lock.entries}
    lock = lock if project.origin is not None or known else None
    waivers = Waivers(tuple(table.waiver for table in project.waiver))
    whole = not (options.precisions_asked or options.targets_asked)
    allowed = tolerances(project.lock)
    done = standing(report, lock, allowed, waivers, run.plan.targets, whole)
    for advice in done.advice:
        run.advise(advice)
    return done
