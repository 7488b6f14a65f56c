"""`edgekit history`: figures of past runs, their steps, and the commit of each."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import answer
from edgekit.errors import HistoryError
from edgekit.history import BOOK, HistoryEntry, add, read
from edgekit.types import Measurement

HOST = "linux x86_64, 2 cores, litert 2.3.0"


def entry(number: int, **changes: Any) -> HistoryEntry:
    """The line of run ``number``: a model that stays as it is, on a host with noise of 2 %."""
    draw = np.random.default_rng(number).normal
    latency = 8000.0 * (1 + 0.02 * draw())
    usual = HistoryEntry(
        run=f"202611{number + 1:02}-120000-abcdef",
        date=f"2026-11-{number + 1:02}T12:00:00",
        model="digits",
        version="0.1.0",
        target="linux-x86_64",
        candidate="int8",
        status="passed",
        sha256="0" * 64,
        edgekit="0.1.0",
        machine=HOST,
        figures={
            "size": Measurement(27736.0, "byte"),
            "accuracy": Measurement(0.976, "1", low=0.962, high=0.985, level=0.95, n=718),
            "latency_p50": Measurement(latency, "ns", low=latency * 0.97, high=latency * 1.04),
        },
        worse_when_lower=("accuracy",),
        shares=("accuracy",),
    )
    figures = {**usual.figures, **changes.pop("figures", {})}
    return replace(usual, figures=figures, **changes)


def written(path: Path, *entries: HistoryEntry) -> Path:
    for each in entries:
        add(path, [each])
    return path


def slower(number: int, factor: float) -> HistoryEntry:
    usual = entry(number)
    latency = (usual.figures["latency_p50"].value or 0.0) * factor
    return entry(number, figures={"latency_p50": Measurement(latency, "ns")})


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def trends_of(folder: Path, *arguments: object) -> dict[str, Any]:
    done = answer("history", "--json", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return {trend["name"]: trend for trend in json.loads(done.stdout)["trends"]}


def test_a_planted_step_is_seen_at_its_run_and_only_there(tmp_path: Path) -> None:
    written(tmp_path / BOOK, *(slower(n, 1.1 if n >= 11 else 1.0) for n in range(20)))
    found = trends_of(tmp_path)
    (step,) = found["latency_p50"]["steps"]
    assert step["run"] == entry(11).run
    assert step["after"] / step["before"] == pytest.approx(1.1, abs=0.03)
    assert found["size"]["steps"] == found["accuracy"]["steps"] == []
    shown = answer("history", cwd=tmp_path).stdout
    assert f"in run {entry(11).run}" in shown
    assert shown.count(" in run ") == 1


def test_a_byte_more_is_a_step_and_names_the_commit_that_it_came_with(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for number, subject in enumerate(("first", "Prune less", "a note")):
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", subject)
        size = Measurement(27736.0 + (number > 0), "byte")
        commit = git(tmp_path, "rev-parse", "HEAD")
        add(tmp_path / BOOK, [entry(number, figures={"size": size}, commit=commit)])
    (step,) = trends_of(tmp_path)["size"]["steps"]
    assert step["run"] == entry(1).run
    assert [commit["subject"] for commit in step["commits"]] == ["Prune less"]
    shown = answer("history", cwd=tmp_path).stdout
    assert "size: 27,736 B to 27,737 B" in shown
    assert "'Prune less'" in shown


def test_commits_that_were_not_run_may_be_the_cause_too(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    hashes = []
    for subject in ("first", "second", "third"):
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", subject)
        hashes.append(git(tmp_path, "rev-parse", "HEAD"))
    size = {"size": Measurement(9.0, "byte")}
    written(tmp_path / BOOK, entry(0, commit=hashes[0]), entry(1, figures=size, commit=hashes[2]))
    assert "'third' or one of the 1 before it" in answer("history", cwd=tmp_path).stdout


@pytest.mark.parametrize("kind", ["normal", "busy"])
def test_a_flat_noisy_series_has_no_step(kind: str) -> None:
    from edgekit.statistics import steps

    random = np.random.default_rng(1)

    def flat() -> Any:
        if kind == "normal":
            return 1 + 0.03 * random.standard_normal(30)
        # One run of ten on a host that something else keeps busy.
        return np.exp(0.05 * random.standard_normal(30)) * (1 + 0.5 * (random.random(30) < 0.1))

    # 1 % is stated: 8 of 200 or more would come once in a thousand times.
    assert sum(bool(steps(flat())) for _ in range(200)) < 8


def test_runs_too_few_to_tell_are_no_step() -> None:
    from edgekit.statistics import steps

    assert steps(np.array([1.0, 1.02, 2.0, 2.01])) == ()


def test_times_of_another_machine_are_another_trend(tmp_path: Path) -> None:
    written(
        tmp_path / BOOK,
        *(slower(n, 1.0) for n in range(8)),
        *(replace(slower(n, 3.0), machine="linux aarch64, 4 cores") for n in range(8, 16)),
    )
    done = json.loads(answer("history", "--json", cwd=tmp_path).stdout)["trends"]
    times = [trend for trend in done if trend["name"] == "latency_p50"]
    assert [len(trend["points"]) for trend in times] == [8, 8]
    assert [trend["steps"] for trend in times] == [[], []]
    assert next(len(t["points"]) for t in done if t["name"] == "size") == 16


BROKEN: dict[str, str | Callable[[str], str]] = {
    "cut short": lambda line: line[: len(line) // 2],
    "no JSON": "size 27,736",
    "a list": "[]",
    "NaN": lambda line: line.replace("27736.0", "NaN"),
    "too large": lambda line: line.replace("27736.0", "1e308"),
    "nested": "[" * 100_000,
    "text for a number": lambda line: line.replace("27736.0", '"27736"'),
    "no figure": lambda line: line.replace('"value":27736.0,', '"value":null,'),
    "bounds crossed": lambda line: line.replace('"low":0.962', '"low":0.99'),
    "a newer schema": lambda line: line.replace('"schema_version":1', '"schema_version":2'),
    "no schema": lambda line: line.replace('"schema_version":1,', ""),
    "conflict": "<<<<<<< HEAD",
    "long": json.dumps({"run": "x" * (2 << 20)}),
}


@pytest.mark.hostile
@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_line_is_refused_with_its_number(tmp_path: Path, name: str) -> None:
    book = written(tmp_path / BOOK, *(entry(n) for n in range(3)))
    lines = book.read_text().splitlines()
    change = BROKEN[name]
    lines[1] = change if isinstance(change, str) else change(lines[1])
    book.write_text("\n".join(lines))
    before = book.read_bytes()
    with pytest.raises(HistoryError) as caught:
        read(book)
    assert caught.value.code == "EK-HISTORY-002"
    assert "line 2" in str(caught.value)
    with pytest.raises(HistoryError):
        add(book, [entry(7)])
    assert book.read_bytes() == before
    done = answer("history", cwd=tmp_path)
    assert done.returncode == 2
    assert "line 2" in done.stderr


@pytest.mark.hostile
def test_a_commit_that_is_an_option_of_git_is_not_given_to_git(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    size = {"size": Measurement(9.0, "byte")}
    target = tmp_path / "written"
    written(tmp_path / BOOK, entry(0), entry(1, figures=size, commit=f"--output={target}"))
    assert answer("history", cwd=tmp_path).returncode == 0
    assert not target.exists()


def test_a_folder_holds_a_file_per_run_and_a_run_is_added_once(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    assert add(folder, [entry(1)])
    assert add(folder, [entry(0)])
    assert not add(folder, [entry(1)])
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{entry(n).run}.jsonl" for n in range(2)
    ]
    assert read(folder) == (entry(0), entry(1))


def test_lines_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    book = written(tmp_path / BOOK, entry(3, minimum_runtime="1.5.0", commit="a" * 40))
    assert read(book) == (entry(3, minimum_runtime="1.5.0", commit="a" * 40),)
    assert len(book.read_bytes().splitlines()) == 1


def test_mistakes_are_answered_with_what_to_do(tmp_path: Path) -> None:
    missing = answer("history", cwd=tmp_path)
    assert missing.returncode == 2
    assert "EK-HISTORY-001" in missing.stderr
    assert "edgekit history add" in missing.stderr
    written(tmp_path / BOOK, entry(0))
    for arguments, says in {
        ("--figure", "sise"): "did you mean 'size'?",
        ("--target", "linux"): "did you mean 'linux-x86_64'?",
        ("--model", "x"): "it has digits",
        ("--candidate", "int4"): "did you mean 'int8'?",
        ("--picture", "trend.pdf"): "EK-HISTORY-005",
        ("--commit", "HEAD"): "--commit does not work with show",
        ("add", "--last", "3"): "--last does not work with add",
    }.items():
        done = answer("history", *arguments, cwd=tmp_path)
        assert done.returncode == 2, arguments
        assert says in done.stderr


def test_without_ruptures_trends_are_shown_and_steps_are_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ruptures", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    written(tmp_path / BOOK, *(entry(n) for n in range(8)))
    shown = answer("history", cwd=tmp_path)
    assert shown.returncode == 0
    assert "steps: unavailable, because ruptures is not installed" in shown.stdout
    drawn = answer("history", "--picture", "t.png", cwd=tmp_path)
    assert drawn.returncode == 2
    assert "pip install 'edgekit[history]'" in drawn.stderr


@pytest.mark.parametrize("name", ["trend.png", "trend.svg"])
def test_the_picture_shows_every_figure(tmp_path: Path, name: str) -> None:
    written(tmp_path / BOOK, *(slower(n, 1.1 if n >= 11 else 1.0) for n in range(20)))
    done = answer("history", "--picture", name, "--figure", "latency_p50", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    if name.endswith(".png"):
        pixels = np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        # The step is for the worse: a dashed line in red, from top to bottom.
        red = (pixels[..., 0] > 150) & (pixels[..., 1] < 90) & (pixels[..., 2] < 90)
        assert red.sum(axis=0).max() > pixels.shape[0] / 4
    else:
        assert (tmp_path / name).read_text().startswith("<?xml")


def test_check_adds_the_run_that_it_judges(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "report" / "samples" / "report_version_1.json"
    for _ in range(2):
        done = answer("check", path, "--history", BOOK, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    entries = read(tmp_path / BOOK)
    assert len(entries) == len(report["candidates"])
    first = entries[0]
    assert first.target == report["targets"][0]["id"]
    held = next(c for c in report["candidates"] if c["id"] == first.candidate)
    assert first.figures["size"].value == held["bytes"]
    assert first.figures["accuracy"].low == held["metrics"]["accuracy"]["low"]
    assert math.isclose(first.figures["latency_p50"].value or 0, held["latency"]["p50"]["value"])
    assert first.date[:4] == report["run"][:4]
    shown = answer("history", "--candidate", "int8", cwd=tmp_path).stdout
    assert "accuracy" in shown
