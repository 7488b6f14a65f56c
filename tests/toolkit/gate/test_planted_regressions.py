"""The regressions that a gate is for, planted one by one: each output says which check is red, with
the figure, the limit, and what to do.
"""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from ratchet import (
    HOST,
    Edit,
    Workshop,
    a_larger_arena,
    a_new_operator,
    a_raised_runtime,
    another_target,
    as_long_as,
    int8,
    measured,
    no_metric,
    one_byte_more,
    two_points_lost,
)

from conftest import answer

BUDGETS = f"""[targets.{HOST}.budgets]
size = "27736 B"
accuracy = {{ max_degradation = 0.01 }}
operators = {{ forbidden = ["TANH"] }}
minimum_runtime = "2.9"
latency_p50 = "8 us"
"""
EXPIRED = """[[waiver]]
check = "size"
reason = "until the layer is shrunk"
expires = 2026-01-31
"""
OUTPUTS = ("--summary", "s.md", "--junit", "j.xml", "--sarif", "s.json", "--code-quality", "q.json")


class Said(NamedTuple):
    """What each output must say of a check that is red."""

    figure: str
    limit: str
    fix: str


def quick(report: Any) -> None:
    """Times that the budget is just above."""
    int8(report)["latency"]["p50"] = measured(7600.0, 7500.0, 7700.0, unit="ns", n=12)


def slower(report: Any) -> None:
    p50 = int8(report)["latency"]["p50"]
    p50.update({end: 1.1 * p50[end] for end in ("value", "low", "high")})
    as_long_as(1.1, 1.085, 1.115)(report)


PLANTED: dict[str, tuple[Edit, Mapping[str, Said]]] = {
    "one byte over": (
        one_byte_more,
        {
            "size": Said("27,737 bytes", "at most 27,736 bytes", "`edgekit compress`"),
            "lock size": Said("27,737 bytes, +1 byte", "at most 27,736 bytes", "`edgekit diff`"),
        },
    ),
    "two points on 2,000 items": (
        two_points_lost,
        {
            "accuracy drop": Said("drop 2 points [1.37, 2.77]", "at most 1 point", "--recover"),
            "lock accuracy": Said(
                "93.00%, drop 2 points [1.37, 2.77]", "not worse than 95.00%", "`edgekit compare`"
            ),
        },
    ),
    "a forbidden operator": (
        a_new_operator,
        {
            "allowed operators": Said("it holds TANH (1)", "no TANH", "`edgekit inspect`"),
            "lock operators": Said(
                "adds TANH version 1", "no new kind or later version", "`edgekit inspect`"
            ),
        },
    ),
    "a raised runtime": (
        a_raised_runtime,
        {
            "minimum runtime": Said("TensorFlow 2.10.0", "at most TensorFlow 2.9", "inspect"),
            "lock minimum runtime": Said(
                "TensorFlow 2.10.0 or LiteRT 1.1.0", "at most TensorFlow 1.14.0", "inspect"
            ),
        },
    ),
    "64 bytes of arena": (
        a_larger_arena,
        {"lock arena": Said("20,544 bytes, +64 bytes", "at most 20,480 bytes", "inspect")},
    ),
    "a tenth slower": (
        slower,
        {
            "latency_p50": Said("8.36 µs [8.25, 8.47]", "at most 8 µs", "make it faster"),
            "lock latency": Said(
                "1.1 times the lock's time [1.085, 1.115]",
                "at most 5 % slower than the lock",
                "`edgekit bench --profile`",
            ),
        },
    ),
    "a metric that is missing": (
        no_metric,
        {
            "lock accuracy": Said(
                "accuracy is missing, and the lock has it", "not worse than 95.00%", "evaluate"
            )
        },
    ),
    "a waiver that expired": (
        lambda _: None,
        {
            "waiver of size": Said(
                "it expired on 2026-01-31: until the layer is shrunk",
                "until 2026-01-31",
                "take the [[waiver]] out",
            )
        },
    ),
    "a target that is gone": (
        another_target,
        {
            "lock target": Said(
                f"lock has digits {HOST} int8, and the run does not judge {HOST}",
                f"digits {HOST} int8",
                "convert it again",
            )
        },
    ),
}


@pytest.mark.usefixtures("on_x86")
@pytest.mark.parametrize("name", PLANTED)
def test_planted_regression_is_told_in_every_output(name: str, tmp_path: Path) -> None:
    edit, expected = PLANTED[name]
    workshop = Workshop(tmp_path)
    workshop.project(BUDGETS)
    workshop.convert(quick)
    assert workshop.edgekit("lock", "--update")[0] == 0
    workshop.project(BUDGETS + (EXPIRED if "waiver" in name else ""))
    if edit is another_target:
        file = tmp_path / "edgekit.toml"
        file.write_text(file.read_text().partition("[targets")[0] + "[targets.android-arm64]\n")
    workshop.convert(quick, edit)
    done = answer("check", "-q", "--json", "--annotate", "github", *OUTPUTS, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    told = dict(every_output(tmp_path, json.loads(done.stdout), done.stderr))
    for output, found in told.items():
        assert found.keys() == expected.keys(), output
        for check, said in expected.items():
            wanted = said if output != "terminal" else said[:2]
            missing = [each for each in wanted if each not in found[check]]
            assert not missing, (output, check, found[check])
    lines = (tmp_path / "edgekit.toml").read_text().splitlines()
    results = json.loads((tmp_path / "s.json").read_text())["runs"][0]["results"]
    places = [one["locations"][0]["physicalLocation"] for one in results if one["level"] == "error"]
    at = [lines[place["region"]["startLine"] - 1] for place in places]
    # A budget is marked at its own line, a waiver at the check that it names.
    budget = next(iter(expected))
    if "lock" not in budget:
        key = {"accuracy drop": "accuracy", "allowed operators": "operators"}.get(budget, budget)
        assert any(key.replace("waiver of ", "").replace(" ", "_") in line for line in at), at


def every_output(
    folder: Path, document: Any, terminal: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what each output says of each check that it shows as red, in plain text."""
    failed = [one for one in document["verdict"]["checks"] if one["status"] == "failed"]
    told = ("message", "limit", "fix")
    yield "json", {one["name"]: "\n".join(one[key] for key in told) for one in failed}
    red = [line for line in terminal.splitlines() if line.startswith("FAILED: ")]
    yield "terminal", {line[8:].partition(" (")[0].split(" int8 ")[-1]: line for line in red}
    marked = [unquote(one) for one in terminal.splitlines() if one.startswith("::error")]
    found = {one.partition("::")[0]: one for one in (line[8:] for line in marked)}
    yield (
        "annotations",
        {
            title.rpartition(": ")[2]: text
            for title, text in found.items()
            if "unavailable: " not in text
        },
    )
    yield "markdown", dict(of_markdown((folder / "s.md").read_text()))
    cases = ET.parse(folder / "j.xml").getroot().iter("testcase")  # noqa: S314  (ours)
    yield (
        "junit",
        {
            str(case.get("name")): f"{failure.get('message')}\n{failure.text}"
            for case in cases
            if (failure := case.find("failure")) is not None
        },
    )
    results = json.loads((folder / "s.json").read_text())["runs"][0]["results"]
    texts = [one["message"]["text"].replace("\\", "") for one in results if one["level"] == "error"]
    yield "sarif", dict(by_check(texts))
    quality = json.loads((folder / "q.json").read_text())
    texts = [one["description"] for one in quality if one["severity"] == "critical"]
    yield "code quality", dict(by_check(texts))


def by_check(texts: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        _, check, said = text.split(": ", 2)
        if not said.startswith("unavailable"):
            yield check, said


def of_markdown(text: str) -> Iterator[tuple[str, str]]:
    """Yield the red rows of a summary and what it says to do, as a reader sees them."""
    page = MarkdownIt("commonmark").enable("table").render(text)
    plain = html.unescape(re.sub(r"<(?!/?(tr|li|strong|br|code)\b)[^>]*>", " ", page))
    plain = plain.replace("\N{NO-BREAK SPACE}", " ").replace("<code>", "`").replace("</code>", "`")
    fixes = re.findall(r"<li>(.*?)</li>", plain, re.DOTALL)
    for row in re.findall(r"<tr>(.*?)</tr>", plain, re.DOTALL):
        if "❌ failed" in row:
            check = re.findall(r"<strong>(.*?)</strong>", row)[0]
            of = [fix for fix in fixes if f"{check} of " in fix]
            yield check, "\n".join([row, *of])
