"""The pytest plugin, as a project that has edgekit installed uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]
SAMPLE = Path(__file__).parent / "report" / "samples" / "report_version_1.json"
TARGET = "linux-x86_64"
TEST = """
def test_model(edgekit_report):
    edgekit_report.assert_passed()
"""


def planted(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write the sample report with a change."""
    document = json.loads(SAMPLE.read_text())
    change(document)
    path = folder / "report.json"
    path.write_text(json.dumps(document))
    return path


def of_size(limit: int) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["settings"]["targets"][TARGET]["budgets"]["size"] = limit
        # Nobody believes what a file says of itself.
        document["verdict"]["status"] = "passed"

    return change


def undecided(document: dict[str, Any]) -> None:
    document["settings"]["targets"][TARGET]["budgets"]["accuracy"] = {"max_degradation": 0.0001}


def unavailable(document: dict[str, Any]) -> None:
    document["settings"]["targets"][TARGET]["budgets"]["latency_p50"] = 5e6
    for candidate in document["candidates"]:
        candidate["latency"] = None


def test_a_report_that_keeps_its_budgets_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        TEST
        + f"""
def test_figures(edgekit_report):
    assert edgekit_report.verdict.exit_code == 0
    assert edgekit_report.metric("accuracy", "int8").low > 0.9
    assert edgekit_report.candidate("{TARGET}").bytes < 100_000
    assert {{check.name for check in edgekit_report.checks("{TARGET}")}} >= {{"size"}}
"""
    )
    pytester.runpytest("--edgekit-report", SAMPLE).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("change", "arguments", "outcome", "says"),
    [
        (of_size(20000), "", {"failed": 1}, "size: the file has 26,976 bytes (limit: at most"),
        (undecided, "", {"failed": 1}, "inconclusive: linux-x86_64"),
        (undecided, "inconclusive='pass'", {"passed": 1}, ""),
        (undecided, "inconclusive='skip'", {"skipped": 1}, ""),
        (unavailable, "inconclusive='pass'", {"failed": 1}, "unavailable: linux-x86_64"),
        (of_size(100000), "'pi4'", {"failed": 1}, "no target 'pi4': it has linux-x86_64"),
    ],
)
def test_what_is_not_passed_fails_and_says_why(
    pytester: pytest.Pytester,
    change: Callable[[dict[str, Any]], None],
    arguments: str,
    outcome: dict[str, int],
    says: str,
) -> None:
    path = planted(pytester.path, change)
    pytester.makepyfile(TEST.replace("assert_passed()", f"assert_passed({arguments})"))
    done = pytester.runpytest("--edgekit-report", path)
    done.assert_outcomes(**outcome)
    assert says in done.stdout.str()


def test_the_newest_run_is_judged_by_the_project_file(pytester: pytest.Pytester) -> None:
    run = pytester.mkdir(".edgekit") / "runs" / "20261129-025503-28afcf"
    run.mkdir(parents=True)
    planted(run, of_size(100_000))
    (pytester.path / "edgekit.toml").write_text(
        'schema = 1\n[model]\nname = "digits"\nsource = "m.keras"\n'
        f'[targets.{TARGET}.budgets]\nsize = "20 kB"\n'
    )
    pytester.makepyfile(TEST)
    done = pytester.runpytest()
    done.assert_outcomes(failed=1)
    assert "(limit: at most 20,000 bytes)" in done.stdout.str()


@pytest.mark.parametrize("content", [None, "{"])
def test_no_report_or_a_damaged_one_is_an_error_with_its_code(
    pytester: pytest.Pytester, content: str | None
) -> None:
    arguments = []
    if content is not None:
        (pytester.path / "report.json").write_text(content)
        arguments = ["--edgekit-report", "report.json"]
    pytester.makepyfile(TEST)
    done = pytester.runpytest(*arguments)
    done.assert_outcomes(errors=1)
    assert ("EK-REPORT-002" if content else "EK-REPORT-001") in done.stdout.str()


def test_pytest_starts_without_importing_what_no_test_uses(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
import sys
def test_nothing_heavy():
    assert "edgekit.pytest_plugin" in sys.modules
    heavy = {"tensorflow", "numpy", "pydantic", "edgekit.api", "edgekit.types"}
    assert heavy & set(sys.modules) == set()
"""
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_judging_a_report_imports_no_tensorflow(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST + '\n    import sys\n    assert "tensorflow" not in sys.modules\n')
    pytester.runpytest_subprocess("--edgekit-report", SAMPLE).assert_outcomes(passed=1)
