"""What CI systems read, held against the published schemas and read back by other programs."""

from __future__ import annotations

import copy
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml, Skipped
from markdown_it import MarkdownIt

from edgekit import explanations, report
from edgekit.report import document
from edgekit.report.ci.annotations import annotation_lines
from edgekit.report.ci.code_quality import code_quality
from edgekit.report.ci.judged import Group, Judged, Table, margin, quantity
from edgekit.report.ci.junit import junit
from edgekit.report.ci.markdown import LONGEST, summary
from edgekit.report.ci.sarif import sarif
from edgekit.report.ci.source import Source
from edgekit.report.ci.views import arrow, judged
from edgekit.report.evidence import NOT_JUDGED
from edgekit.report.migrations import tell_shares
from edgekit.types import Advice, Bound, CheckResult, Measurement, Status, Verdict, Waiver

SCHEMAS = Path(__file__).parents[2] / "schemas"
JUNIT = xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))
SARIF = json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_text())
# What GitLab asks of a code quality report, by its documentation: it publishes no schema.
CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}
PROJECT = """[model]
source = "model.py:build"
[targets.raspberry-pi-4.budgets]
# size is what the update may take
size = "20 kB"
accuracy = { max_degradation = 0.01 }
[targets.linux-x86_64]
budgets = { latency_p50 = "5 ms" }
"""
SIZE = CheckResult(
    "size",
    "int8",
    "raspberry-pi-4",
    Status.FAILED,
    "the file has 27,736 bytes",
    "at most 20,000 bytes",
    measured=Measurement(27736.0, "byte"),
    bound=Bound(20000.0, "byte"),
    fix="make it smaller: `edgekit compress`",
)
DROP = CheckResult(
    "accuracy drop",
    "int8",
    "raspberry-pi-4",
    Status.INCONCLUSIVE,
    "not proven: up to 1.5 points possible on 200 items",
    "at most 1 point",
    measured=Measurement(0.005, "1", low=-0.005, high=0.015, level=0.95),
    bound=Bound(0.01, "1", share="points"),
)
LATENCY = CheckResult(
    "latency_p50", "int8", "linux-x86_64", Status.UNAVAILABLE, "unavailable, because it is off"
)
RUNS = CheckResult("runs on litert 2.3.0", "int8", "linux-x86_64", Status.PASSED, "every item")
ABSENT = replace(LATENCY, name="runs on tflm", stated=False)
# A text of another hand, with all that means something to one of the formats.
HOSTILE = (
    "100 % of `x` | <b>bold</b> & [link](http://a) *a* _b_ #1 @all ::error::\r\n"
    "- second, line: \x1b[31mred\x1b[0m \x00 ]]> {0} ~~gone~~ <!-- $x$ \\ --> |--|"
)


def judged_by(*checks: CheckResult, advice: tuple[Advice, ...] = (), **fields: Any) -> Judged:
    verdict = Verdict(Status.FAILED, 1, checks)
    groups: dict[str, list[CheckResult]] = {}
    for check in checks:
        groups.setdefault(check.target, []).append(check)
    together = tuple(Group(name, tuple(found)) for name, found in groups.items())
    return Judged("check", "digits 1.0", "run-1", verdict, together, advice=advice, **fields)


def cases(content: bytes) -> dict[str, Any]:
    """The cases of a JUnit file, as junitparser reads them, once the file fits the schema."""
    JUNIT.validate(content.decode())
    return {case.name: case for suite in JUnitXml.fromstring(content) for case in suite}


def test_junit_has_a_case_per_check_with_its_figures() -> None:
    content = junit(judged_by(SIZE, DROP, LATENCY, RUNS, ABSENT, seconds=12.3456))
    found = cases(content)
    assert [type(found[check.name].result[0]) for check in (SIZE, DROP, LATENCY, ABSENT)] == [
        Failure,
        Failure,
        Error,
        Skipped,
    ]
    assert [found[c.name].result[0].type for c in (SIZE, DROP, LATENCY)] == [
        "failed",
        "inconclusive",
        "unavailable",
    ]
    message = found["size"].result[0].message
    assert message == (
        "the file has 27,736 bytes (limit: at most 20,000 bytes; 7,736 B over (38.7 %))"
    )
    assert "figure: 27,736 B (27736 byte)" in found["size"].result[0].text
    assert "make it smaller" in found["size"].result[0].text
    assert found[RUNS.name].is_passed
    totals = JUnitXml.fromstring(content)
    assert (totals.tests, totals.failures, totals.errors, totals.time) == (5, 2, 1, 12.346)
    suites = {suite.name: suite for suite in totals}
    assert (suites["linux-x86_64"].tests, suites["linux-x86_64"].skipped) == (3, 1)


@pytest.mark.parametrize(("choice", "kind"), [("", Failure), ("fail", Failure), ("pass", Skipped)])
def test_an_inconclusive_check_is_a_failure_of_its_own_type_or_skipped_by_choice(
    choice: Any, kind: type
) -> None:
    (case,) = cases(junit(judged_by(DROP, undecided=choice))).values()
    assert isinstance(case.result[0], kind)
    assert case.result[0].type == "inconclusive"
    assert ("--inconclusive" in str(case.result[0].text)) == bool(choice)


def test_a_waived_check_is_skipped_and_seen_with_its_reason() -> None:
    waiver = Waiver("size", "the camera needs it", "2026-12-31", "raspberry-pi-4")
    waived = replace(SIZE, status=Status.WAIVED, waiver=waiver, message="waived until 2026-12-31")
    view = judged_by(waived)
    (case,) = cases(junit(view)).values()
    assert (type(case.result[0]), case.result[0].type) == (Skipped, "waived")
    assert "| ⚠️ waived | **size**<br>raspberry-pi-4 | waived until 2026-12-31" in summary(view)
    log = json.loads(sarif(view, Source()))
    jsonschema.validate(log, SARIF)
    (result,) = log["runs"][0]["results"]
    assert result["level"] == "note"
    assert "the camera needs it" in result["suppressions"][0]["justification"]
    assert list(annotation_lines(view, Source())) == []


def test_what_nothing_judged_is_nowhere_green() -> None:
    bare = Judged("bench", "m", "run-1", Verdict(Status.NOT_EVALUATED, 0), (Group("m", ()),))
    for view in (bare, replace(bare, groups=())):
        (case,) = cases(junit(view)).values()
        assert (type(case.result[0]), case.result[0].type) == (Skipped, "not evaluated")
        text = summary(view)
        assert text.startswith("## ⏭️ m: not evaluated\n")
        assert "nothing was judged" in text
        assert "✅" not in text
        log = json.loads(sarif(view, Source()))
        jsonschema.validate(log, SARIF)
        (result,) = log["runs"][0]["results"]
        assert (result["ruleId"], result["level"]) == ("edgekit/evaluation", "note")
        jsonschema.validate(json.loads(code_quality(view, Source())), CODE_QUALITY)
        (line,) = annotation_lines(view, Source())
        level, _, message = parsed(line)
        assert (level, message) == ("notice", NOT_JUDGED)
    # Checks beside which nothing was evaluated stay what they are.
    partly = replace(judged_by(RUNS), verdict=Verdict(Status.NOT_EVALUATED, 0, (RUNS,)))
    (case,) = cases(junit(partly)).values()
    assert case.is_passed
    assert "nothing was judged" not in summary(partly)
    assert "no metric was taken" in summary(partly)


def test_two_limits_of_one_figure_are_two_cases() -> None:
    other = replace(SIZE, limit="at most 10 bytes")
    assert sorted(cases(junit(judged_by(SIZE, other)))) == [
        "size (at most 10 bytes)",
        "size (at most 20,000 bytes)",
    ]


def test_the_junit_schema_goes_red_when_a_file_is_wrong() -> None:
    broken = junit(judged_by(SIZE)).replace(b"failure", b"failed")
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        JUNIT.validate(broken.decode())


def test_sarif_names_the_rule_the_line_and_the_help() -> None:
    advice = Advice("EK-NOTE-004", "warning", "litert-web was not tried", "install it")
    source = Source("app/edgekit.toml", PROJECT)
    log = json.loads(sarif(judged_by(SIZE, DROP, LATENCY, RUNS, advice=(advice,)), source))
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [(r["ruleId"], rules[r["ruleIndex"]]["id"], r["level"]) for r in run["results"]] == [
        ("edgekit/size", "edgekit/size", "error"),
        ("edgekit/latency_p50", "edgekit/latency_p50", "error"),
        ("edgekit/METRIC-drop", "edgekit/METRIC-drop", "warning"),
        ("EK-NOTE-004", "EK-NOTE-004", "warning"),
    ]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["region"]["startLine"] for place in places] == [5, 8, 6, 1]
    assert {place["artifactLocation"]["uri"] for place in places} == {"app/edgekit.toml"}
    assert [rule["fullDescription"]["text"] for rule in rules] == [
        explanations.explain(name).what
        for name in ("size", "latency_p50", "METRIC drop", "EK-NOTE-004")
    ]
    for rule in rules:
        for part in ("Likely causes:\n\n- ", "\n\nWhat to do: "):
            assert part in rule["help"]["text"] == rule["help"]["markdown"], rule["id"]
    assert "7,736 B over" in run["results"][0]["message"]["text"]


def test_the_help_of_a_rule_has_no_link_that_leads_nowhere() -> None:
    linked = [code for code, each in explanations.codes().items() if ".md)" in each.what]
    assert linked
    advice = [Advice(code, "warning", "it happened", "mend it") for code in linked]
    (run,) = json.loads(sarif(judged_by(SIZE, advice=tuple(advice)), Source()))["runs"]
    shown = json.dumps([rule for rule in run["tool"]["driver"]["rules"] if rule["id"] in linked])
    assert shown.count("(docs/") >= len(linked)
    assert "](" not in shown


@pytest.mark.parametrize(
    ("check", "line"),
    [
        ("size", 3),
        ("compressed size", 4),
        ("allowed operators", 5),
        ("recall of cat", 6),
        ("accuracy", 7),
        ("accuracy drop", 7),
        ("SQNR", 8),
        ("peak memory", 9),
        ("machine", 2),
    ],
)
def test_each_check_is_found_at_its_budget(check: str, line: int) -> None:
    keys = ("size", "compressed_size", "operators", "classes", "metric", "parity", "peak_memory")
    table = "\n".join(f"{key} = 1" for key in keys)
    text = f"# size\n[targets.pi.budgets]\n{table}\n[targets.pi-4.budgets]\nsize = 2\n"
    result = CheckResult(check, "int8", "pi", Status.FAILED, "")
    assert Source("edgekit.toml", text).line(result) == line


def test_sarif_tells_a_finding_of_two_runs_as_the_same_one() -> None:
    def print_of(check: CheckResult) -> str:
        (run,) = json.loads(sarif(judged_by(check), Source()))["runs"]
        return str(run["results"][0]["partialFingerprints"]["edgekit/v1"])

    assert print_of(SIZE) == print_of(replace(SIZE, message="the file has 30,000 bytes"))
    assert print_of(SIZE) != print_of(replace(SIZE, target="linux-x86_64"))


def test_code_quality_has_what_gitlab_asks_for() -> None:
    found = json.loads(code_quality(judged_by(SIZE, DROP, SIZE), Source("edgekit.toml", PROJECT)))
    jsonschema.validate(found, CODE_QUALITY)
    assert [entry["severity"] for entry in found] == ["critical", "critical", "minor"]
    # GitLab shows one of those that have the same fingerprint.
    assert len({entry["fingerprint"] for entry in found}) == 3
    assert found[0]["location"] == {"path": "edgekit.toml", "lines": {"begin": 5}}


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    """An annotation as GitHub's runner reads it."""
    match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert match, line

    def plain(text: str, more: str = "") -> str:
        for code in ("%0D", "%0A", *(("%3A", "%2C") if more else ()), "%25"):
            text = text.replace(code, bytes.fromhex(code[1:]).decode())
        return text

    pairs = (pair.partition("=") for pair in match[2].split(","))
    return match[1], {name: plain(value, "more") for name, _, value in pairs}, plain(match[3])


def test_annotations_mark_the_line_of_the_budget() -> None:
    lines = annotation_lines(judged_by(SIZE, DROP, RUNS), Source("a,b.toml", PROJECT))
    (level, size, text), (second, _, _) = map(parsed, lines)
    assert (level, second) == ("error", "warning")
    assert size == {
        "file": "a,b.toml",
        "line": "5",
        "title": "edgekit: raspberry-pi-4 int8: size",
    }
    assert text.splitlines() == [
        "the file has 27,736 bytes (at most 20,000 bytes; 7,736 B over (38.7 %))",
        "make it smaller: `edgekit compress`",
    ]


def test_a_hostile_text_breaks_no_output() -> None:
    check = replace(SIZE, candidate=HOSTILE, message=HOSTILE, limit=HOSTILE, fix=HOSTILE)
    advice = Advice("EK-NOTE-004", "warning", HOSTILE, HOSTILE)
    table = Table(HOSTILE, ("a", HOSTILE), ((HOSTILE, "b"),))
    view = judged_by(check, advice=(advice,), tables=(table,), lines=(HOSTILE,))
    view = replace(view, title=HOSTILE, reference=HOSTILE)
    source = Source(HOSTILE, HOSTILE)

    (case,) = cases(junit(view)).values()
    assert "<b>bold</b>" in case.result[0].message
    jsonschema.validate(json.loads(sarif(view, source)), SARIF)
    jsonschema.validate(json.loads(code_quality(view, source)), CODE_QUALITY)
    lines = list(annotation_lines(view, source))
    assert len(lines) == 2
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert parsed(lines[0])[1]["file"].startswith("100 % of `x`")

    html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(summary(view))
    assert "<b>" not in html
    assert "<a href" not in html
    assert "<em>" not in html
    assert "<s>" not in html
    assert "\x1b" not in html
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    assert {len(re.findall("<t[hd]", row)) for row in rows} == {2, 5}
    tree = ET.fromstring(f"<x>{html}</x>".replace("<br>", "<br/>"))  # noqa: S314  (ours)
    assert len(tree.findall("details")) == 3
    # The mention and the issue are texts, not links.
    assert "@all" not in summary(view)
    assert "#1" not in summary(view)


def test_the_summary_says_first_what_is_red_by_how_much_and_what_to_do() -> None:
    text = summary(judged_by(RUNS, DROP, LATENCY, SIZE, seconds=61)).replace("\xa0", " ")
    lines = text.splitlines()
    assert lines[0] == "## ❌ digits 1.0: failed"
    assert lines[2].startswith("**1 failed** · 1 inconclusive · 1 unavailable · 1 passed ·")
    listed = [line for line in lines if line.startswith("| ❌") or line.startswith("| ❔")]
    assert listed[0].startswith("| ❌ failed | **size**<br>raspberry-pi-4 | the file has")
    assert "**7,736 B over (38.7 %)**" in listed[0]
    assert "**up to 0.5 points over (50 %)**" in listed[1]
    assert "- **size of raspberry-pi-4**: make it smaller: `edgekit compress`" in lines
    before, folded = text.split("<details><summary>Passed: 1 check</summary>")
    assert RUNS.name not in before
    assert RUNS.name in folded


def test_a_summary_fits_into_a_comment() -> None:
    row = ("x" * 50,) * 4
    tables = (Table("large", row, (row,) * 1000), Table("small", ("a",), (("b",),)))
    text = summary(judged_by(SIZE, tables=tables))
    assert len(text) < LONGEST + 200
    assert "1 more parts are too long" in text
    assert "<summary>small</summary>" in text


@pytest.mark.parametrize(
    ("value", "low", "high", "status", "bound", "says"),
    [
        (90.0, None, None, Status.PASSED, Bound(100, "byte"), "10 B under (10 %)"),
        (100.0, None, None, Status.PASSED, Bound(100, "byte"), "exactly at the limit"),
        (2e6, 1.9e6, 4e6, Status.PASSED, Bound(5e6, "ns"), "1 ms under (20 %)"),
        (6e6, 5.5e6, 7e6, Status.FAILED, Bound(5e6, "ns"), "1 ms over (20 %)"),
        (0.8, 0.7, 0.85, Status.FAILED, Bound(0.9, "1", True), "0.1 below (11.1 %)"),
        (0.95, 0.92, 0.97, Status.PASSED, Bound(0.9, "1", True), "0.02 above (2.22 %)"),
        (5.0, None, None, Status.FAILED, Bound(0.0, "dB"), "5 dB over"),
        (-0.3, -1.9, 1.3, Status.PASSED, Bound(0.0, "dB"), "0.3 dB under"),
        (0.3, None, None, Status.FAILED, Bound(0.2, "output"), "0.1 over (50 %)"),
    ],
)
def test_how_far_a_figure_is_from_its_limit(
    value: float, low: float | None, high: float | None, status: Status, bound: Bound, says: str
) -> None:
    measured = Measurement(value, bound.unit, low=low, high=high)
    check = CheckResult("x", "a", "", status, "", measured=measured, bound=bound)
    assert margin(check) == says


def test_a_share_over_its_limit_is_told_in_points() -> None:
    ratio = Measurement(1.062, "1", low=1.059, high=1.065)
    check = CheckResult("latency", "a", "", Status.FAILED, "", "at most 5 % slower")
    late = replace(check, measured=ratio, bound=Bound(1.05, "1", share="%"))
    assert margin(late) == "1.2 points over"


@pytest.mark.parametrize(
    ("change", "says"), [(-83.2, "↓ 83.2 %"), (0.14, "↑ 0.14 %"), (0.0, "="), (-0.0, "=")]
)
def test_an_arrow_shows_where_a_figure_went(change: float, says: str) -> None:
    assert arrow(change, "%") == says


def test_the_row_of_what_a_target_refuses_says_so(digits_report: Any) -> None:
    told = copy.deepcopy(digits_report)
    (target,) = told["targets"]
    ships = target["candidate"]
    hot = {**target["checks"][0], "name": "latency_p50", "status": "failed", "message": "9 ms"}
    target.update(status="failed", candidate=None, checks=[*target["checks"], hot])
    told["verdict"].update(status="failed", exit_code=1, checks=target["checks"])
    done = document.from_json(told)
    row = next(line for line in report.summary(done).splitlines() if line.startswith(f"| {ships}"))
    assert "FAILED<br>latency\\_p50" in row.replace("latency_p50", "latency\\_p50")
    assert "passed" not in row
    assert len(cases(report.junit(done))) == len(target["checks"])


def test_what_changed_stands_beside_the_reference(digits_report: Any) -> None:
    view = judged(document.from_json(digits_report), "convert")
    (group,) = view.groups
    figures = {change.what: change for change in group.changes}
    assert figures["size"].change.startswith("↓ ")
    assert figures["size"].check is not None
    assert figures["accuracy"].interval.endswith(" points")
    assert figures["latency p50 on this host"].before
    assert view.seconds > 0


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("not worse than 97.63%", "53.3 points"),
        ("at most 2 points", "53.3 points"),
        ("at least 90%", "53.3 %"),
        ("at most 0.6", "0.533"),
    ],
)
def test_a_share_is_told_as_its_bound_says_and_of_earlier_reports_by_the_words_of_the_limit(
    limit: str, text: str
) -> None:
    check: dict[str, Any] = {"limit": limit, "bound": {"value": 1.0, "unit": "1"}}
    tell_shares([{"checks": [check]}])
    assert quantity(0.533, "1", check["bound"]["share"]) == text
    stated = {**check, "bound": {**check["bound"], "share": "points"}}
    tell_shares(stated)
    assert stated["bound"]["share"] == "points"
