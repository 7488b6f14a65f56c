"""The table of docs/metrics.md, against the metrics themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekit.evaluation.metrics import METRICS, TEXTS, Metric, named

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
FAMILIES = {"top_<k>": "top_7", "recall_at_<k>": "recall_at_7"}


def rows(page: str) -> dict[str, tuple[str, str, str]]:
    """Direction, range and unit of each metric, as the page has them."""
    cells = [re.split(r"(?<!\\) *\| *", line.strip("| ")) for line in page.splitlines()]
    return {
        name: (row[2], row[3], row[4])
        for row in cells
        if len(row) == 6 and row[0].startswith("`")
        for name in re.findall(r"`([^`]+)`", row[0])
        if not name.startswith("file.py")
    }


def stated(metric: Metric) -> tuple[str, str, str]:
    """What the page must say of a metric."""
    if metric.reads in TEXTS:
        return metric.direction, "in points, may exceed 100 %", metric.unit
    return metric.direction, "yes" if metric.bounded else "no", metric.unit


def test_page_lists_every_metric_and_no_other() -> None:
    assert set(rows(PAGE.read_text())) == set(METRICS) | set(FAMILIES)


@pytest.mark.parametrize("name", [*METRICS, *FAMILIES])
def test_page_says_of_a_metric_what_it_is(name: str, tmp_path: Path) -> None:
    assert rows(PAGE.read_text())[name] == stated(named(FAMILIES.get(name, name), tmp_path))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("| `mae` | mean absolute error | lower | no | target |", "higher | no | target"),
        ("| `mae` | mean absolute error | lower | no | target |", "lower | yes | target"),
        ("| `mae` | mean absolute error | lower | no | target |", "lower | no | 1"),
    ],
)
def test_a_page_that_is_wrong_is_noticed(line: str, wrong: str, tmp_path: Path) -> None:
    page = PAGE.read_text()
    assert line in page
    changed = page.replace(line, f"| `mae` | mean absolute error | {wrong} |")
    assert rows(changed)["mae"] != stated(named("mae", tmp_path))
