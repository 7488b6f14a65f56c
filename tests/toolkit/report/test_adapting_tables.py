"""Every kind of table at every width, with the longest values: no figure is cut, no word broken."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit import report as reports
from edgekit.cli import convert, export
from edgekit.cli.console import console, print_lines
from edgekit.pipeline.model_files import ModelFiles, Signature
from edgekit.report import (
    bench,
    compression,
    diff,
    fit_board,
    history,
    inspection,
    inventory,
    layers,
    measurements,
    monitoring,
    outputs,
    sweep,
)
from edgekit.report.grid import Grid, Row, grid
from edgekit.report.table import DROP, headings
from edgekit.report.table import rows as rows_of
from edgekit.targets import catalog
from edgekit.types import (
    Advice,
    Report,
    StageRecord,
    Status,
    Sweep,
    TargetResult,
    TensorSpec,
    Trial,
)

SAMPLE = Path(__file__).parent / "samples" / "report_version_1.json"
# The longest that users have seen, or may see.
INTERVAL = "[-12345.6, 1.23e+08]"
FIGURES = {
    "95 % interval": INTERVAL,
    "to the run before": "-12345.6 points",
    "oldest to newest": "▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█",
    "trend": "▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█",
    "metric": "1.23457e+08",
    "flips": "100.00 %",
    "changed": "100.00 %",
    "before": "1,234,567,890",
}
LONGEST = "123.456 µs"
METRIC = "mean_average_precision_50_95"
NAMES = (
    ("dynamic-int8-float-io@tflite-2.14", "ssh://pi@raspberrypi.local#tflite-runtime"),
    ("arduino-nano-33-ble-sense", "litert 2.3.0"),
    ("runs/2026-11-29/efficientnet_lite0_quantized_to_int8_by_hand.tflite", ""),
)
WORDS = (
    ("not evaluated", "arduino-nano-33-ble-sense: latency p50, raspberry-pi-4: accuracy"),
    ("INCOMPATIBLE", "unavailable, because the runtime has no kernel for it"),
    ("passed", ""),
)


def sample(*targets: str) -> Report:
    """Return a report with a long metric, of these targets."""
    done = reports.read(SAMPLE)
    result: TargetResult = done.targets[0]
    return dataclasses.replace(
        done,
        settings={**done.settings, "metric": METRIC},
        targets=tuple(dataclasses.replace(result, id=name) for name in targets or (result.id,)),
    )


def models(titles: Any, drop: Any) -> Grid:
    """Build a table of these titles with the longest values."""
    titles = [pair if isinstance(pair, tuple) else (pair, "") for pair in titles]

    def figure(title: str) -> str:
        return FIGURES.get(title, LONGEST) if title else ""

    rows = [
        Row((name, *((figure(a), figure(b)) for a, b in titles[1:-1]), last))
        for name, last in zip(NAMES, WORDS, strict=True)
    ]
    return grid(titles, rows, drop)


SETTINGS = {"metric": METRIC, "bounded": True}


def swept() -> Sweep:
    """Return a sweep of long names and long values."""
    names = ("learning_rate", "augment.brightness", "model.bottleneck_filters", "optimizer")
    values = (1.234567e-05, 0.2, 1024, "adamw_with_decoupled_weight_decay")
    tried = dict(zip(names, values, strict=True))
    trials = (
        Trial(0, tried, 0.98765432, 1000, 123456.7),
        Trial(123, tried, None, 1, 0.1, "the loss became NaN"),
    )
    toml = "[train]\nlearning_rate = 1.234567e-05"
    return Sweep("digits", f"val_{METRIC}", True, trials, 0, toml, Path("trials.journal"))


class Terminal(io.StringIO):
    """Standard output as a terminal, kept."""

    def isatty(self) -> bool:
        return True


def tables() -> Iterator[tuple[str, Grid]]:
    """Yield every kind of table by its name."""
    for name, done in {
        "convert for this host": sample(),
        "convert for a board": sample("raspberry-pi-4"),
        "convert for a microcontroller": sample("arduino-nano-33-ble-sense"),
        "convert for both": sample("cortex-m4", "raspberry-pi-4"),
    }.items():
        yield name, models(headings(done), DROP)
    plain = [(a.format(metric=METRIC, unit=" (points)"), b) for a, b in compression.TABLE_HEADINGS]
    yield "compress", models(plain, compression.DROP)
    yield "layers pruned", models(["prune", *compression.LAYER_HEADINGS], compression.LAYER_DROP)
    channels = ["layer", *compression.CHANNEL_HEADINGS]
    yield "channels", models(channels, compression.CHANNEL_DROP)
    yield "bench", models(bench.HEADINGS, bench.DROP)
    yield "evaluate", models(measurements.headings(SETTINGS), measurements.DROP)
    yield "compare", models(measurements.headings(SETTINGS, True), measurements.DROP)
    yield "other metrics", models(outputs.TITLES, ())
    yield "layers compared", models(layers.HEADINGS, layers.DROP)
    yield "history", models(history.HEADINGS, history.DROP)
    yield "monitor", models(monitoring.HEADINGS, monitoring.DROP)
    yield "operators", models(inspection.OPERATOR_HEADINGS, ())
    yield "layers", models(inspection.HEADINGS, inspection.DROP)
    yield "diff", models(diff.HEADINGS, diff.DROP)
    yield "fit", models(["", "fits", *fit_board.HEADINGS.values()], fit_board.DROP)
    yield "devices", models(inventory.HEADINGS, inventory.DROP)
    trials = [title for title, _ in sweep.table(swept()).titles]
    yield "sweep", models(trials, sweep.DROP)
    yield "bundle", models(["target", "size", "outcome"], ())


KINDS = dict(tables())


def lines(shown: Grid, width: int, **how: bool) -> list[str]:
    return ["".join(text for text, _ in line) for line in shown.lines(width, **how)]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_figures_and_words_are_whole_at_every_width(kind: str, width: int) -> None:
    shown = KINDS[kind]
    for verbose in (False, True):
        drawn = lines(shown, width, verbose=verbose)
        told = re.sub(r"\s+", " ", " ".join(drawn))
        assert max(map(len, drawn)) <= width
        assert "…" not in told
        named = told.partition("left out at")[2]
        assert not (named and verbose)
        for at, (first, second) in list(enumerate(shown.titles))[1:-1]:
            figures = {text for row in shown.rows for text in row.cells[at] if text}
            left = first in named or (second and second in named)
            assert left or all(f" {figure} " in f" {told} " for figure in figures), (first, drawn)
        if "left out" not in told or shown.titles[-1][0] not in named:
            for words in WORDS:
                assert all(f" {word}" in f" {told}" for text in words for word in text.split())


def check_shown() -> None:
    """Print what ``edgekit check`` prints, of long names."""
    done = sample("raspberry-pi-4", "arduino-nano-33-ble-sense")
    (first, *others) = done.verdict.checks
    check = dataclasses.replace(
        first, name=f"lock {METRIC}", status=Status.FAILED, message=f"it is {LONGEST} {INTERVAL}"
    )
    verdict = dataclasses.replace(done.verdict, checks=(check, *others))
    convert.show(dataclasses.replace(done, verdict=verdict), False, Path("runs"))


def train_shown() -> None:
    """Print what ``edgekit train`` prints, of long names."""
    figures = {
        f"val_{METRIC}": 0.98765432,
        METRIC: 1.234567e-05,
        f"best_{METRIC}": 123456.7,
    }
    spec = TensorSpec("serving_default_input_of_the_backbone", (None, 1024, 1024, 3), "float32")
    done = ModelFiles(
        "efficientnet_lite0_quantized_to_int8_by_hand",
        files={"model": Path("build/efficientnet_lite0_quantized_to_int8_by_hand/model.keras")},
        stages=(StageRecord("train", 123456.7, False),),
        advice=(Advice("EK-NOTE-001", "warning", f"{LONGEST} of {INTERVAL}", "do it again"),),
        epochs=1000,
        best_epoch=999,
        figures=figures,
        signatures=(Signature("serving_default", (spec,), (spec,)),),
    )
    export.show(done, {"as_json": False, "verbose": True, "quiet": False})


def sweep_shown() -> None:
    """Print what ``edgekit sweep`` prints of its trials."""
    shown = console(False)
    shown.print(sweep.table(swept()))
    print_lines(shown, sweep.lines(swept()))


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("shows", [check_shown, train_shown, sweep_shown])
def test_what_a_command_prints_is_whole_at_every_width(
    shows: Callable[[], None], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    narrow, wide = Terminal(), io.StringIO()
    for out in (narrow, wide):
        monkeypatch.setattr("sys.stdout", out)
        shows()
    drawn = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in narrow.getvalue().splitlines()]
    assert max(map(len, drawn)) <= width, drawn
    told = " ".join(drawn)
    # Of a table, columns may be left out, which it says itself.
    below = wide.getvalue().partition("\n\n")[2] or wide.getvalue()
    assert not (lost := {word for word in below.split() if word not in told}), lost


@pytest.mark.parametrize("kind", KINDS)
def test_names_break_at_their_parts_only(kind: str) -> None:
    for width in (40, 80, 120):
        drawn = lines(KINDS[kind], width)
        assert any("arduino-nano-33-ble-sense" in line for line in drawn), drawn
        assert all(
            not line.split()[0].endswith(("efficient", "quanti", "rasp")) for line in drawn if line
        )


@pytest.mark.parametrize("kind", KINDS)
def test_no_column_is_left_out_of_a_pipe(kind: str) -> None:
    shown = KINDS[kind]
    told = " ".join(lines(shown, 100, edge=False))
    assert "left out" not in told
    titles = [text for title in shown.titles[1:] for text in title]
    assert all(word in told for text in titles for word in re.split(r"[ _]", text))


@pytest.mark.parametrize(
    ("targets", "titles", "lacks"),
    [
        (["raspberry-pi-4"], ["this host p50", "ratio this host", "memory this host"], "arena"),
        (["arduino-nano-33-ble-sense"], ["flash zipped", "arena by TFLM here"], "memory"),
        (["cortex-m4", "raspberry-pi-4"], ["arena by TFLM here", "memory this host"], "flash"),
    ],
)
def test_figures_of_this_host_say_so_where_the_target_is_another(
    targets: list[str], titles: list[str], lacks: str
) -> None:
    told = [" ".join(title).strip() for title in headings(sample(*targets))]
    assert all(any(one.startswith(title) for one in told) for title in titles)
    assert not any(lacks in one for one in told)


def test_figures_of_the_hosts_own_target_need_no_such_word() -> None:
    done = sample()
    host = "{platform}-{machine}".format(**done.environment)
    told = headings(sample(host))
    assert not any("this host" in text for title in told for text in title)
    assert host in catalog.names()


def test_row_has_a_cell_for_each_title_whatever_the_targets() -> None:
    for targets in (["cortex-m4"], ["raspberry-pi-4"], ["cortex-m4", "raspberry-pi-4"]):
        done = sample(*targets)
        width = len(headings(done))
        assert all(len(row.cells) == width for row in rows_of(done))
