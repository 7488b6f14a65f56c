"""The pytest plugin: ``edgekit_report``, the newest run of a project, judged again.

pytest imports this module in every session, so it imports nothing of edgekit until a test uses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from edgekit.types import Candidate, CheckResult, Measurement, Report, Status, Verdict

OPTION = "--edgekit-report"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--edgekit-report``."""
    help_text = "report.json or run folder of edgekit, for the fixture edgekit_report"
    parser.getgroup("edgekit").addoption(OPTION, metavar="PATH", help=help_text)


@pytest.fixture(scope="session")
def edgekit_report(request: pytest.FixtureRequest) -> JudgedReport:
    """The run at ``--edgekit-report``, else the newest below the root folder, judged again."""
    from edgekit import api, report
    from edgekit.errors import EdgekitError
    from edgekit.project import FILE, Project

    named = request.config.getoption(OPTION)
    root = request.config.rootpath
    try:
        if named:
            return JudgedReport(api.check(Path(named)))
        if not (root / FILE).is_file():
            return JudgedReport(api.check(api.latest(root)))
        projects = Project.load_all(root / FILE)
        newest = api.latest(root, projects[0].model.name if len(projects) == 1 else None)
        project = Project.load(root / FILE, report.name_of(newest) if projects[1:] else None)
        return JudgedReport(api.check(newest, project))
    except EdgekitError as error:
        pytest.fail(f"{error}\n  or name a report with {OPTION} PATH", pytrace=False)


@dataclass(frozen=True)
class JudgedReport:
    """A finished run: its report, its verdict, and assertions that say what is red.

    The verdict is recomputed from the figures. A report that is named is judged by its own budgets,
    the newest run by those of ``edgekit.toml``.
    """

    report: Report

    @property
    def verdict(self) -> Verdict:
        return self.report.verdict

    def candidate(self, name: str) -> Candidate:
        """Return a candidate by its id, or the one that a target ships."""
        shipped = {target.id: target.candidate for target in self.report.targets}
        candidates = {candidate.id: candidate for candidate in self.report.candidates}
        chosen = candidates.get(shipped.get(name) or name)
        if chosen is None:
            pytest.fail(f"the run has no {name!r}: it has {_listed({**candidates, **shipped})}")
        return chosen

    def metric(self, name: str, candidate: str) -> Measurement:
        """Return a metric of a candidate, with its interval."""
        metrics = self.candidate(candidate).evaluation.metrics
        if name not in metrics:
            pytest.fail(f"{candidate} has no metric {name!r}: it has {_listed(metrics)}")
        return metrics[name]

    def checks(self, target: str | None = None) -> tuple[CheckResult, ...]:
        """Return the checks that count for the verdict, of all targets or of one."""
        counted = self.verdict.checks
        targets = {target.id for target in self.report.targets}
        if target is not None and target not in targets:
            pytest.fail(f"the run has no target {target!r}: it has {_listed(targets)}")
        return tuple(check for check in counted if target in (None, check.target))

    def assert_passed(
        self, target: str | None = None, inconclusive: Literal["fail", "pass", "skip"] = "fail"
    ) -> None:
        """Fail where a check of the verdict, or of one target, is not passed, and say which.

        Checks that could not be decided fail as well, unless ``inconclusive`` says otherwise; what
        could not be measured always fails.
        """
        from edgekit.gate.statuses import counts
        from edgekit.types import Status

        good = (Status.PASSED, Status.WAIVED)
        decided = [check for check in self.checks(target) if counts(check)]
        undecided = [check for check in decided if check.status is Status.INCONCLUSIVE]
        red = [check for check in decided if check.status not in (*good, Status.INCONCLUSIVE)]
        if inconclusive == "fail":
            red += undecided
        if red:
            pytest.fail("\n".join(map(_line, red)), pytrace=False)
        outcome = self._outcome(target)
        if outcome not in good and not undecided:
            pytest.fail(f"{target or 'the run'}: {outcome.value}", pytrace=False)
        if undecided and inconclusive == "skip":
            pytest.skip("; ".join(map(_line, undecided)))

    def _outcome(self, target: str | None) -> Status:
        of_target = (each.status for each in self.report.targets if each.id == target)
        return next(of_target, self.verdict.status)


def _line(check: CheckResult) -> str:
    where = " ".join(part for part in (check.target, check.candidate, check.name) if part)
    limit = f" (limit: {check.limit})" if check.limit else ""
    fix = f"\n  {check.fix}" if check.fix else ""
    return f"{check.status.value}: {where}: {check.message}{limit}{fix}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
