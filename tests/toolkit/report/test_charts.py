"""Charts as data: what they show of planted models, and what they say in a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import charting
import detailing
import pytest

from edgekit import report as reports
from edgekit.report import charts
from edgekit.types import Measurement, Status
from edgekit.types.details import (
    CandidateDetails,
    Confusion,
    LaunchSamples,
    Reliability,
    ReliabilityBin,
)

SAMPLE = Path(__file__).with_name("samples") / "report_version_1.json"
INT8 = charting.model("int8", 27_736, 0.976, 0.0)


def drawn(chart: Any) -> Any:
    assert not isinstance(chart, charts.Absent), chart
    return chart


def test_a_model_that_is_larger_and_no_better_is_dominated() -> None:
    worse = charting.model("float16", 47_736, 0.974, 0.002)
    better = charting.model("float32", 89_476, 0.979, -0.003)
    chart = drawn(charts.pareto(charting.run(better, worse, INT8)))
    beaten = {point.model: point.dominated_by for point in chart.points}
    assert beaten == {charting.REFERENCE: "", "float32": "", "float16": "int8", "int8": ""}
    assert chart.front == ("int8", "float32")


def test_a_metric_that_is_better_when_lower_turns_the_dominance() -> None:
    worse = charting.model("float16", 47_736, 0.974, 0.002)
    run = replace(charting.run(worse, INT8), higher_is_better=False)
    assert drawn(charts.pareto(run)).front == ("int8", "float16")


@pytest.mark.parametrize(
    ("models", "says"),
    [
        # One alone is the smallest of nothing.
        ([INT8], "No loss of int8 was seen: 27.7 kB, 97.60 % (at most 0.50 points"),
        ([charting.model("int4", 9_000, 0.9, 0.076)], "int4 loses 7.60 points"),
        ([replace(INT8, drop=None)], "int8: 27.7 kB, 97.60 %."),
        (
            [charting.model("int4", 9_000, 0.9, 0.076), INT8],
            "int8 is the smallest of which no loss was seen",
        ),
        (
            [
                charting.model("int4", 9_000, 0.9, 0.076),
                charting.model("int8", 27_736, 0.97, 0.006),
            ],
            "Every file loses: int4, the smallest, 7.60 points",
        ),
        (
            [
                replace(charting.model("int4", 9_000, 0.976, 0.0), status=Status.INCOMPATIBLE),
                INT8,
            ],
            "int8 is the smallest of which no loss was seen",
        ),
    ],
)
def test_the_sentence_names_the_smallest_of_which_no_loss_was_seen(models: Any, says: str) -> None:
    assert drawn(charts.pareto(charting.run(*models))).text.startswith(says)


def test_without_a_metric_the_picture_says_why() -> None:
    unmeasured = replace(INT8, metric=Measurement.unavailable("1", "there are no labels"))
    absent = charts.pareto(charting.run(unmeasured))
    assert absent == charts.Absent("Size against accuracy", "there are no labels")


def test_budgets_say_how_many_are_broken_and_by_how_much() -> None:
    chart = drawn(charts.budgets(charting.full()))
    assert chart.text == "1 of 2 budgets is broken: accuracy drop of int8, 1.1 points over (55 %)."
    size, drop = chart.bars
    assert (size.limit.text, size.figure.text) == ("100,000 B", "27,736 B")
    assert (size.start, drop.outcome) == (0.0, "red")
    assert size.start <= size.figure.value < size.limit.value <= size.end


def test_budgets_that_are_kept_name_the_closest() -> None:
    kept = [
        charting.check("size", 27_736, 100_000, "byte", Status.PASSED),
        charting.check("compressed size", 9_000, 10_000, "byte", Status.PASSED),
    ]
    chart = drawn(charts.budgets(charting.run(INT8, checks=tuple(kept))))
    assert chart.text.startswith("All 2 budgets are kept; the closest is compressed size of int8")
    chart = drawn(charts.budgets(charting.run(INT8, checks=(kept[1],))))
    assert chart.text.startswith("The budget is kept: compressed size of int8, 1,000 B under")


def test_only_among_several_is_one_the_fastest() -> None:
    details = CandidateDetails(launches=(charting.launches(30_000),))
    timed = replace(INT8, latency=charting.latency(30_000.0))
    alone = drawn(charts.latency(charting.run(timed, int8=details)))
    assert alone.text.startswith("int8: median 30 µs")
    assert "fastest" not in alone.text
    slower = replace(timed, id="float32", latency=charting.latency(40_000.0))
    both = charting.run(timed, slower, int8=details, float32=details)
    assert drawn(charts.latency(both)).text.startswith("int8 is the fastest: median 30 µs")


def timed(name: str, median: float, **more: Any) -> Any:
    return replace(INT8, id=name, latency=charting.latency(median), **more)


def said_of_times(*models: Any, reference: float = 0.0) -> str:
    """What the picture of latencies says, of the reference too where its median is given."""
    one = CandidateDetails(launches=(charting.launches(30_000),))
    run = charting.run(*models, **dict.fromkeys((charting.REFERENCE, *(m.id for m in models)), one))
    if reference:
        first = replace(run.models[0], latency=charting.latency(reference))
        run = replace(run, models=(first, *run.models[1:]))
    text: str = drawn(charts.latency(run)).text
    return text


def test_no_model_is_the_fastest_while_intervals_overlap() -> None:
    # Medians 1 % apart, each known to 1 %.
    text = said_of_times(timed("int8", 30_000.0), timed("float32", 30_300.0))
    assert text.startswith("int8: median 30 µs [29.7, 30.3]; float32 is not proven slower; no")
    apart = said_of_times(timed("int8", 30_000.0), timed("float32", 31_000.0))
    assert apart.startswith("int8 is the fastest")
    several = said_of_times(*(timed(name, 30_000.0) for name in "abcd"))
    assert "b, c and 1 more are not proven slower" in several


def test_a_paired_ratio_proves_what_overlapping_intervals_do_not() -> None:
    ratio = Measurement(0.99, "1", low=0.985, high=0.995, level=0.95)
    proven = said_of_times(timed("int8", 30_000.0, ratio=ratio), reference=30_300.0)
    assert proven.startswith("int8 is the fastest")
    wide = replace(ratio, high=1.01)
    unproven = said_of_times(timed("int8", 30_000.0, ratio=wide), reference=30_300.0)
    assert "SavedModel is not proven slower" in unproven


@pytest.mark.parametrize(
    ("low", "other", "says"),
    [
        (0.001, 0.020, "Every file loses: int4, the smallest, 2.00 points"),
        (0.001, 0.020, "; int8 least, 0.50 points"),
        (0.001, 0.006, "; which loses least is not proven."),
        (-0.004, 0.020, "A loss was measured of every file: int4"),
    ],
)
def test_a_loss_is_said_to_be_least_where_the_intervals_are_apart(
    low: float, other: float, says: str
) -> None:
    int8 = charting.model("int8", 27_736, 0.97, 0.005)
    drop = Measurement(0.005, "1", n=1000, low=low, high=0.009, level=0.95)
    models = charting.model("int4", 9_000, 0.96, other), replace(int8, drop=drop)
    assert says in drawn(charts.pareto(charting.run(*models))).text


@pytest.mark.parametrize(
    ("drop", "says"),
    [
        (0.02, "it loses 2.00 points of accuracy."),
        (0.002, "its accuracy is 0.20 points worse, which is not proven."),
        (0.0, "no loss of accuracy was seen."),
    ],
)
def test_a_loss_is_stated_where_its_interval_shows_it(drop: float, says: str) -> None:
    models = charting.model("int8", 27_736, 0.976, drop), charting.model("float32", 89_476, 0.98, 0)
    assert drawn(charts.candidates(charting.run(*models))).text.endswith(says)


def test_a_launch_with_two_speeds_has_two_steps_and_is_named() -> None:
    two, one = charting.launches(30_000, 60_000), charting.launches(30_000)
    details = CandidateDetails(launches=(one, two))
    chart = drawn(charts.latency(charting.run(INT8, int8=details)))
    single, double = chart.models[0].launches
    assert (single.bimodal, double.bimodal) == (False, True)
    # Flat between the speeds: no run took longer than 31 and less than 60 µs.
    between = [s for t, s in zip(double.times, double.shares, strict=True) if 31e3 < t < 60e3]
    below = max(s for t, s in zip(double.times, double.shares, strict=True) if t < 31e3)
    assert (between, below, double.shares[-1]) == ([], 0.5, 1.0)
    assert "1 of 2 launches of int8 have two speeds, near 30.3 µs and 60.3 µs" in chart.text


def test_one_run_that_was_interrupted_does_not_squeeze_the_others() -> None:
    usual = charting.launches(30_000).samples
    details = CandidateDetails(launches=(LaunchSamples(200, (*usual[:-1], 95_000_000)),))
    chart = drawn(charts.latency(charting.run(INT8, int8=details)))
    assert 31_000 < chart.models[0].shown_to < 42_000
    assert not chart.x.logarithmic
    assert chart.text.endswith("the slowest run, beyond what is drawn, took 95 ms.")


def test_layers_name_where_error_begins() -> None:
    full = charting.full()
    chart = drawn(charts.layers(full, full.models[3]))
    assert chart.text.startswith("int8 falls first at CONV_2D b by 12.0 dB")
    assert [bar.first for bar in chart.bars] == [False, True]


def test_tiles_fill_the_picture_by_their_bytes() -> None:
    full = charting.full()
    chart = drawn(charts.sizes(full, full.models[3]))
    assert [(tile.bytes, tile.layer or tile.operator) for tile in chart.tiles] == [
        (500, "a"),
        (400, "structure"),
    ]
    for tile in chart.tiles:
        assert tile.width * tile.height == pytest.approx(tile.share)
    assert chart.text == "CONV_2D a takes most of int8: 500 B of 900 B, 55.6 %."


def test_squarified_rectangles_do_not_overlap_and_stay_inside() -> None:
    amounts = [6, 6, 4, 3, 2, 2, 1]
    places = charts.squarified(amounts, 1.5)
    for place, amount in zip(places, amounts, strict=True):
        x, y, width, height = place
        assert width * height == pytest.approx(amount / 24)
        assert -1e-9 <= x <= x + width <= 1 + 1e-9
        assert -1e-9 <= y <= y + height <= 1 + 1e-9
        assert max(width * 1.5 / height, height / width / 1.5) < 4
    for i, (x, y, w, h) in enumerate(places):
        for u, v, a, b in places[i + 1 :]:
            apart = x + w <= u + 1e-9 or u + a <= x + 1e-9
            assert apart or y + h <= v + 1e-9 or v + b <= y + 1e-9


def test_confusion_names_the_pair_that_is_confused_most() -> None:
    found = CandidateDetails(
        confusion=Confusion(("3", "8", "9"), ((30, 4, 2), (1, 35, 0), (0, 0, 36)))
    )
    run = charting.run(INT8, int8=found)
    chart = drawn(charts.confusion(run, INT8))
    assert chart.text == "3 is taken for 8 most often: 4 of 36 (11.1 %); 7 of 108 items are wrong."
    assert chart.shares[0][1] == pytest.approx(4 / 36)


@pytest.mark.parametrize(("accuracy", "word"), [(0.8, "too sure by 10.0"), (1.0, "too unsure by")])
def test_reliability_says_whether_confidence_is_too_high(accuracy: float, word: str) -> None:
    bins = (ReliabilityBin(0.0, 0.5, 0), ReliabilityBin(0.5, 1.0, 50, 0.9, accuracy))
    found = CandidateDetails(reliability=Reliability(bins, Measurement(0.1, "1")))
    chart = drawn(charts.reliability(charting.run(INT8, int8=found), INT8))
    assert chart.text.startswith(f"int8 is {word}")
    assert [bar.count for bar in chart.bars] == [50]


def test_every_chart_of_a_real_report_is_drawn_or_says_why_not() -> None:
    found = charts.of_report(reports.read(SAMPLE))
    assert found["candidates"].text == (
        "dynamic@tflite-2.14 is 2.7 % smaller than int8 and not proven faster or slower;"
        " no loss of accuracy was seen."
    )
    for chart in found.values():
        if isinstance(chart, charts.Absent):
            assert chart.reason
        else:
            assert chart.text.endswith(".")
            assert chart.text[0].isupper() or chart.text.split()[0].rstrip(":") in str(found)
    json.dumps(reports.plain(found), allow_nan=False)


def test_stages_of_a_training_begin_with_their_epochs_and_are_no_curve() -> None:
    columns = {"epoch": (1.0, 2.0, 3.0), "stage": (1.0, 1.0, 2.0), "loss": (3.0, 2.0, 1.0)}
    run = replace(charting.run(INT8), training=columns)
    chart = drawn(charts.of_run(run, ())["training"])
    assert isinstance(chart, charts.TrainingCurves)
    assert chart.stages == (1, 3)
    assert [panel.name for panel in chart.panels] == ["loss"]
    assert "begin with the epochs 1, 3" in chart.text


def test_the_curves_of_a_training_have_a_panel_for_each_figure_the_loss_first() -> None:
    run = replace(charting.run(INT8), training=detailing.training())
    chart = drawn(charts.of_run(run, ())["training"])
    assert [panel.name for panel in chart.panels] == ["loss", "accuracy"]
    assert chart.panels[0].validation == (None, 0.9, 0.7, 0.8)
    assert chart.panels[1].validation == ()
    assert chart.text == (
        "4 epochs: the loss went from 1.2 to 0.3;"
        " on validation items it was least after epoch 3 (0.7)."
    )


def test_a_run_that_trained_nothing_has_no_curves() -> None:
    assert "training" not in charts.of_run(charting.run(INT8), ())
