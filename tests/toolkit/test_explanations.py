"""Every code and every check has its explanation, in the program and in the docs alike."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from error_table import page

from conftest import answer
from edgekit import explanations
from edgekit.explanations import Explanation
from edgekit.gate.budgets import BUDGETS

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\bEK-[A-Z]+-\d+\b")
ROOMS = ("toolkit", "converters", "targets", "sample_apps")


def used() -> dict[str, str]:
    """The codes that the source raises or notes, each with a file that does."""
    return {
        code: str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for code in CODE.findall(path.read_text(encoding="utf-8"))
    }


def test_every_code_of_the_source_is_explained_and_every_explained_one_is_used() -> None:
    codes = used()
    assert len(codes) > 300
    assert sorted(set(codes) - set(explanations.codes())) == []
    assert sorted(set(explanations.codes()) - set(codes)) == []
    assert {code.split("-")[1] for code in codes} == set(explanations.AREAS)


def faults(each: Explanation) -> list[str]:
    """What is wrong with an explanation: it says what, why and what to do, in a line each."""
    sentences = {"what": each.what, "fix": each.fix}
    found = [part for part, text in sentences.items() if not re.search(r"\S[.)`]$", text)]
    if not 1 <= len(set(each.causes)) == len(each.causes) <= 4:
        found.append(f"{len(each.causes)} causes")
    known = {each.what.rstrip(".").lower(), each.fix.rstrip(".").lower()}
    for cause in each.causes:
        if not re.search(r"[^\s.;]$", cause) or len(cause) > 160:
            found.append(f"cause {cause!r}: a phrase without a full stop")
        if cause.lower() in known:
            found.append(f"cause {cause!r}: it repeats what happened, or what to do")
    if "\n" in "".join((*sentences.values(), *each.causes)):
        found.append("a line break")
    return found


@pytest.mark.parametrize("known", [explanations.codes, explanations.checks])
def test_every_explanation_says_what_it_is_why_and_what_to_do(known: Any) -> None:
    assert {name: found for name, each in known().items() if (found := faults(each))} == {}


@pytest.mark.parametrize(
    "planted",
    [
        {"causes": ()},
        {"causes": ("",)},
        {"causes": ("a typing error.",)},
        {"causes": ("a typing error", "a typing error")},
        {"causes": ("the data has no labels",)},
        {"what": "no full stop"},
        {"fix": ""},
        {"fix": "two\nlines."},
    ],
)
def test_an_explanation_that_lacks_something_is_refused(planted: dict[str, Any]) -> None:
    whole = explanations.codes()["EK-DATA-005"]
    assert faults(whole) == []
    assert faults(replace(whole, **planted)) != []


def test_every_code_stands_in_the_file_of_its_area() -> None:
    folder = Path(explanations.__file__).parent / "codes"
    for file in folder.glob("*.toml"):
        listed = re.findall(r"^\[EK-([A-Z]+)-", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(listed) == {file.stem.upper()}, file


def test_the_docs_say_the_same() -> None:
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == page(), (
        "python tests/error_table.py docs/errors.md"
    )


def test_every_check_of_a_run_is_explained(digits_report: dict[str, object]) -> None:
    checks = digits_report["targets"][0]["checks"]  # type: ignore[index]
    assert {check["name"] for check in checks} >= {"size", "accuracy drop"}
    for check in checks:
        assert explanations.of_check(check["name"]) is not None, check["name"]


def test_every_budget_is_explained_by_its_key_and_by_the_name_of_its_check() -> None:
    of_metrics = {"accuracy", "metric", "outputs", "metrics"}
    for key in {key for budget in BUDGETS for key in budget.keys} - of_metrics:
        assert explanations.explain(key).what, key
    for check in ("recall of cat", "f1 of 7", "SQNR", "lock size", "baseline arena", "waiver of x"):
        assert explanations.of_check(check) is not None, check


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("EK-DATA-004", "shape does not fit"),
        ("ek-data-004", "shape does not fit"),
        ("data-004", "shape does not fit"),
        ("size", "The file's bytes"),
        ("runs on litert 2.3.0", "runs the file on every item"),
        ("compiles for ethos-u55-128", "NPU"),
        ("accuracy drop", "How much worse"),
        ("accuracy", "threshold"),
        ("latency_p50", "median time"),
    ],
)
def test_explain_takes_a_code_or_a_check_as_it_is_shown(written: str, says: str) -> None:
    done = answer("explain", *written.split(), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert "what to do" in done.stdout


@pytest.mark.parametrize(
    ("written", "close"),
    [("EK-DATA-0004", "EK-DATA-004"), ("siz", "size"), ("acuracy", "accuracy"), ("?", "")],
)
def test_an_unknown_name_is_answered_with_the_closest(written: str, close: str) -> None:
    done = answer("explain", written, cwd=ROOT)
    assert done.returncode == 2
    assert "EK-EXPLAIN-001" in done.stderr
    assert ("did you mean" in done.stderr) == bool(close)
    assert close in done.stderr


def test_explain_alone_lists_areas_and_checks() -> None:
    done = answer("explain", cwd=ROOT)
    for area in explanations.AREAS:
        assert f"EK-{area}-…" in done.stdout
    assert "runs on RUNTIME" in done.stdout
    of_area = answer("explain", "report", cwd=ROOT)
    assert "EK-REPORT-001" in of_area.stdout
    assert "EK-DATA-001" not in of_area.stdout


def test_explain_as_json_has_the_parts_apart() -> None:
    found = json.loads(answer("explain", "EK-REPORT-002", "--json", cwd=ROOT).stdout)
    assert found["name"] == "EK-REPORT-002"
    assert "damaged" in found["what"]
    assert len(found["causes"]) == 3
    assert found["fix"].endswith(".")
    everything = json.loads(answer("explain", "--json", cwd=ROOT).stdout)
    assert "EK-REPORT-002" in everything["areas"]["REPORT"]["codes"]
    assert "arena" in everything["checks"]


@pytest.mark.parametrize("columns", [60, 80])
def test_a_code_is_one_line_of_the_list_and_prose_is_not_indented_further(columns: int) -> None:
    def shown(*words: str) -> list[str]:
        master, slave = pty.openpty()
        command = [Path(sys.executable).with_name("edgekit"), "explain", *words]
        environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
        subprocess.run(command, stdout=slave, env=environment, check=True, timeout=60)
        os.close(slave)
        text = os.read(master, 65536).decode()
        os.close(master)
        return re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()

    listed = shown("lock")
    assert len(listed) == 1 + sum(code.startswith("EK-LOCK-") for code in explanations.codes())
    (first, *lines) = shown("accuracy", "drop")
    assert first == "accuracy drop"
    prose = lines[: lines.index("likely causes")]
    assert len(prose) > 1
    assert all(re.match(r"  \S", line) for line in prose), prose
    assert max(map(len, (*listed, *lines))) <= min(columns, 100)
