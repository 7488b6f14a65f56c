"""The user's own functions: their metric, their post-processing, and the errors in both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import ProjectError, RunnerError
from edgekit.evaluation import postprocess
from edgekit.evaluation.metrics import METRICS, Metric, drop, find, measure
from edgekit.types import PairedCounts

RNG = np.random.default_rng(7)
TARGETS = RNG.normal(size=120)
OUTPUTS = (TARGETS + RNG.normal(size=120) * 0.2)[:, None]


def metric(folder: Path, body: str, attributes: str = "") -> Metric:
    source = f"import numpy as np\n\ndef mine(y_true, y_pred):\n    {body}\n{attributes}\n"
    (folder / "mine.py").write_text(source)
    found = find("mine.py:mine", folder)
    assert found is not None
    return found


def test_value_alone_is_bootstrapped(tmp_path: Path) -> None:
    mine = metric(tmp_path, "return abs(y_true - y_pred[:, 0]).mean()", "mine.direction = 'lower'")
    found = measure(mine, TARGETS, OUTPUTS)
    assert found.tool == "bootstrap over items"
    assert found.value == pytest.approx(measure(METRICS["mae"], TARGETS, OUTPUTS).value)
    assert (mine.name, mine.direction, mine.bounded) == ("mine", "lower", False)


def test_scores_per_item_give_the_interval_of_the_same_metric_of_ours(tmp_path: Path) -> None:
    body = "e = abs(y_true - y_pred[:, 0]); return e.mean(), e"
    mine = metric(tmp_path, body, "mine.direction = 'lower'; mine.unit = 'm'")
    ours, found = measure(METRICS["mae"], TARGETS, OUTPUTS), measure(mine, TARGETS, OUTPUTS)
    assert (found.tool, found.unit) == ("BCa bootstrap", "m")
    assert (found.value, found.low, found.high) == (ours.value, ours.low, ours.high)
    worse = OUTPUTS + 0.5
    lost, _ = drop(mine, TARGETS, OUTPUTS, worse)
    assert lost == pytest.approx(drop(mine, TARGETS, OUTPUTS, worse)[0])
    assert lost.tool == "paired BCa"
    assert lost.value == pytest.approx(drop(METRICS["mae"], TARGETS, OUTPUTS, worse)[0].value)


def test_scores_whose_mean_is_another_value_are_not_used(tmp_path: Path) -> None:
    body = "e = (y_true - y_pred[:, 0]) ** 2; return e.mean() ** 0.5, e"
    found = measure(metric(tmp_path, body), TARGETS, OUTPUTS)
    assert found.tool == "bootstrap over items"
    assert found.value == pytest.approx(np.sqrt(np.mean((TARGETS - OUTPUTS[:, 0]) ** 2)))


def test_bounded_scores_of_0_and_1_are_counted(tmp_path: Path) -> None:
    body = "r = y_true != y_pred.argmax(1); return r.mean(), r"
    mine = metric(tmp_path, body, "mine.bounded = True; mine.direction = 'lower'")
    labels = np.array([0, 1, 1, 0, 1])
    good, bad = np.eye(2)[[0, 1, 1, 1, 1]], np.eye(2)[[1, 0, 1, 0, 1]]
    assert measure(mine, labels, good).tool == "Wilson"
    lost, counts = drop(mine, labels, good, bad)
    assert counts == PairedCounts(n=5, lost=2, gained=1)
    assert lost.value == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return y_true[999]", r"mine.py, line 4: return y_true\[999\]\n  IndexError"),
        ("return 'good'", r"returned str as its value \(mine.py, line 3\)"),
        ("return None", "returned NoneType as its value"),
        ("return 0.5, [1.0]", r"scores per item of \[1\] for 120 items"),
        ("return 0.5, y_true * np.nan", "the score nan for item 0"),
        ("return 0.5, 'abc'", "not numbers"),
    ],
)
def test_errors_name_the_users_file_and_line(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(ProjectError, match=words) as caught:
        measure(metric(tmp_path, body), TARGETS, OUTPUTS)
    assert caught.value.code in ("EK-PROJECT-008", "EK-PROJECT-041")


def test_direction_is_one_of_two(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="direction is 'less'"):
        metric(tmp_path, "return 0.0", "mine.direction = 'less'")


def test_metric_that_is_not_a_number_is_unavailable(tmp_path: Path) -> None:
    found = measure(metric(tmp_path, "return float('nan')"), TARGETS, OUTPUTS)
    assert (found.how, found.reason) == ("unavailable", "it is not a number on these items")


def test_users_metric_refuses_outputs_that_are_not_finite(tmp_path: Path) -> None:
    bad = OUTPUTS.copy()
    bad[17] = np.nan
    with pytest.raises(RunnerError, match="item 17"):
        measure(metric(tmp_path, "return 0.0"), TARGETS, bad)


def hook(folder: Path, body: str) -> postprocess.Hook:
    (folder / "post.py").write_text(f"def boxes(outputs):\n    {body}\n")
    return postprocess.resolve("post.py:boxes", folder)


def test_postprocessing_sees_every_item_once_and_in_order(tmp_path: Path) -> None:
    outputs = {"a": np.arange(1200.0).reshape(600, 2), "b": np.arange(600)}
    found = postprocess.applied(hook(tmp_path, "return outputs['a'][:, 1] - outputs['b']"), outputs)
    assert found.tolist() == [2 * i + 1 - i for i in range(600)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return outputs['a'][1:]", r"returned float64 \[3\] for 4 items \(post.py, line 1\)"),
        ("return 1.0", r"returned float64 \[\] for 4 items"),
        ("return None", "returned object"),
        ("return [[1], [2, 3], [4], [5]]", "no array"),
        ("return outputs['c']", r"post.py, line 2: return outputs\['c'\]\n  KeyError"),
    ],
)
def test_postprocessing_that_returns_anything_else_is_refused(
    tmp_path: Path, body: str, words: str
) -> None:
    with pytest.raises(ProjectError, match=words):
        hook(tmp_path, body)({"a": np.zeros(4)})


def test_postprocessing_that_changes_its_shape_is_refused(tmp_path: Path) -> None:
    body = "return outputs['a'][:, : 1 + int(outputs['a'][0, 0] > 0)]"
    outputs = {"a": np.repeat([[0.0], [1.0]], 256, axis=0) * np.ones(2)}
    with pytest.raises(ProjectError, match="several shapes"):
        postprocess.applied(hook(tmp_path, body), outputs)
