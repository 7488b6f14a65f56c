"""The HTML page of a run: its numbers are the report's, and nothing in it is loaded or obeyed."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import detailing
import pytest
from checked_rows import differences
from rendered import FORMS, ReadPage, pointed

from edgekit.cli.main import run
from edgekit.report.document import read
from edgekit.report.html import run_page
from edgekit.report.html.files import write_beside
from edgekit.report.html.shell import badge, embedded
from edgekit.report.table import headings
from edgekit.types import Status
from edgekit.types.details import Confusion, DataDetails

SAMPLE = Path(__file__).parent / "samples" / "report_failing.json"
LARGEST = 1_500_000


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """A real run of four targets, as report.json has it: one label is an attack."""
    return dict(json.loads(SAMPLE.read_text()))


@pytest.fixture(scope="module")
def text() -> str:
    """Its page."""
    return run_page(read(SAMPLE))


@pytest.fixture(scope="module")
def page(text: str) -> ReadPage:
    return ReadPage(text)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A project's folder with that run in it."""
    folder = tmp_path / ".edgekit" / "runs" / "20260101-000000-abcdef"
    folder.mkdir(parents=True)
    shutil.copyfile(SAMPLE, folder / "report.json")
    return tmp_path


def test_every_figure_is_the_one_of_the_report(page: ReadPage, document: dict[str, Any]) -> None:
    assert len(page.figures) > 40
    for at, form, text, value in page.figures:
        assert pointed(document, at) == value, at
        assert text.removeprefix("~") == FORMS[form](value), at


def test_every_chart_says_where_its_figures_are_without_scripts() -> None:
    full = run_page(read(SAMPLE), detailing.details())
    charts = re.findall(r'data-chart="[^"]+"></div>\s*(<noscript>.*?</noscript>)?', full)
    assert len(charts) > 4
    assert all("The tables of this page have the figures" in said for said in charts)


def test_every_check_budget_and_waiver_is_the_one_of_the_report(
    page: ReadPage, document: dict[str, Any]
) -> None:
    assert {"limit", "found", "interval", "margin", "bar limit", "expires"} <= {
        part for row in page.checks for part in row
    }
    assert differences(page, document) == []


@pytest.mark.parametrize(
    ("part", "digit"),
    [
        *(
            (part, rf'(data-part="{part}"[^>]*>[^<]*?)(\d)(?![\d,.])')
            for part in ("limit", "found", "interval", "margin", "expires")
        ),
        ("limit's place", r'(class="limit" x1=")(\d)(?=\d)'),
        ("interval's place", r'(class="range" x1=")(\d)(?=\.\d+" x2="[\d.]+" y1="5")'),
        ("place", r'(data-check="/verdict/checks/)(\d)(?=")'),
    ],
)
def test_a_wrong_digit_of_a_check_is_found(
    text: str, document: dict[str, Any], part: str, digit: str
) -> None:
    """Each on the page is changed, one after the other."""
    bare = re.sub("<script>.*?</script>", "", text, flags=re.DOTALL)
    places = list(re.finditer(digit, bare))
    assert places, part
    for match in places:
        planted = str((int(match[2]) + 1) % 10)
        changed = bare[: match.start(2)] + planted + bare[match.end(2) :]
        assert differences(ReadPage(changed), document), bare[match.start() : match.end() + 30]


def test_charts_hold_the_figures_of_the_report(page: ReadPage, document: dict[str, Any]) -> None:
    points = {point["model"]: point for point in page.data["charts"]["pareto"]["points"]}
    for candidate in document["candidates"]:
        measured = candidate["metrics"]["accuracy"]
        point = points[candidate["id"]]
        assert point["size"]["value"] == candidate["bytes"]
        found = [point["metric"][name] for name in ("value", "low", "high")]
        assert found == [measured[name] for name in ("value", "low", "high")]


def test_the_verdict_comes_first_with_what_is_red_by_how_much_and_the_fix(page: ReadPage) -> None:
    sections = [one["id"] for tag, one in page.elements if tag == "section"]
    order = "verdict targets candidates latency layers sizes answers worst data operators fit run"
    assert sections == [*order.split(), "waivers"]
    seen = " ".join(page.visible.split())
    red = "failed size 7,736 B over (38.7 %) raspberry-pi-4 · int8 The file has 27,736 bytes"
    assert red in seen
    assert seen.index(red) < seen.index("linux-x86_64 ? inconclusive Ships nothing.")
    assert "Fix: Make it smaller: edgekit compress with --channels" in seen


def test_a_run_without_checks_says_that_nothing_was_judged() -> None:
    report = read(SAMPLE)
    verdict = replace(report.verdict, status=Status.NOT_EVALUATED, exit_code=0, checks=())
    page = ReadPage(run_page(replace(report, verdict=verdict, targets=())))
    assert "Nothing was judged: this run has no check." in page.visible
    assert "targets" not in [one["id"] for tag, one in page.elements if tag == "section"]


def test_figures_of_this_host_are_labelled(page: ReadPage) -> None:
    seen = " ".join(page.visible.split())
    assert "this host, not 3 of 4 targets: AMD EPYC, 2 CPUs, Linux x86_64 candidate" in seen
    hosts = [
        one for tag, one in page.elements if tag == "th" and "host" in (one.get("class") or "")
    ]
    assert len(hosts) == 4


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ([], "this host"),
        (["HOST"], "this host, which is the target"),
        (["raspberry-pi-4"], "this host, not the target"),
        (["raspberry-pi-4", "cortex-m4"], "this host, not a target"),
        (["HOST", "raspberry-pi-4"], "this host, not raspberry-pi-4"),
        (["HOST", "a", "b", "c"], "this host, not 3 of 4 targets"),
    ],
)
def test_page_and_terminal_say_alike_whose_times_they_show(targets: list[str], says: str) -> None:
    done = read(SAMPLE)
    host = "{platform}-{machine}".format(**done.environment).lower()
    named = [replace(done.targets[0], id=one.replace("HOST", host)) for one in targets]
    done = replace(done, targets=tuple(named))
    seen = " ".join(ReadPage(run_page(done)).visible.split())
    assert f"{says}: AMD EPYC, 2 CPUs" in seen
    marked = any("this host" in text for title in headings(done) for text in title)
    assert marked == ("not " in says)


def test_nothing_is_loaded_and_only_own_scripts_run(text: str, page: ReadPage) -> None:
    assert len(text.encode()) < LARGEST
    for tag, attributes in page.elements:
        assert tag not in ("iframe", "object", "embed", "form", "base"), tag
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    policy = next(
        str(one["content"]) for tag, one in page.elements if one.get("http-equiv") is not None
    )
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_hostile_names_stay_text() -> None:
    attack = "</script><img src=x onerror=alert(1)>\u2028<!--<script>"
    report = read(SAMPLE)
    candidates = (replace(report.candidates[0], id=attack), *report.candidates[1:])
    targets = (replace(report.targets[0], id=attack), *report.targets[1:])
    model = {**report.model, "name": attack}
    text = run_page(replace(report, model=model, candidates=candidates, targets=targets))
    found = ReadPage(text)
    assert "img" not in [tag for tag, _ in found.elements]
    assert len([tag for tag, _ in found.elements if tag == "script"]) == text.count("</script>")
    assert attack in found.visible
    assert attack in [point["model"] for point in found.data["charts"]["pareto"]["points"]]


def test_details_fill_the_sections_which_say_why_they_are_empty_without_them(
    page: ReadPage,
) -> None:
    seen = " ".join(page.visible.split())
    assert "Error by layer Not measured in this run, because the run left no details of it." in seen
    details = detailing.details()
    full = ReadPage(run_page(read(SAMPLE), details))
    assert set(full.data["charts"]) >= {
        "pareto",
        "latency",
        "training",
        "layers of int8",
        "sizes of int8",
        "confusion of int8",
        "reliability of int8",
        "values of image, representative",
    }
    assert full.data["charts"]["confusion of int8"]["counts"] == [[3, 1], [0, 4]]
    assert full.data["pictures"] == details.pictures
    seen = " ".join(full.visible.split())
    assert "cat/7.png is cat answered dog" in seen
    assert "on validation items it was least after epoch 3 (0.7)" in seen
    assert "Islands in float at the end: SOFTMAX (1)" in seen
    assert details.command in seen
    shown = re.sub("[^0-9.]+", " ", seen[seen.index("evaluated, is judged") :])
    assert shown.split()[:1] == ["800.010.50.9910.50.25"]


def test_a_page_stays_small_whatever_a_run_left() -> None:
    report, details = read(SAMPLE), detailing.details()
    pictures = {f"p{at}": detailing.picture(96, 96) for at in range(60)}
    labels = tuple(f"class {at}" for at in range(100))
    matrix = tuple(tuple(1000 + at for at in range(100)) for _ in range(100))
    candidate = replace(detailing.candidate(), confusion=Confusion(labels, matrix))
    image = replace(detailing.inputs(), pictures=tuple(pictures))
    details = replace(
        details,
        candidates={one.id: candidate for one in report.candidates},
        representative=DataDetails(60, {"image": image}),
        pictures=details.pictures | pictures,
    )
    text = run_page(report, details)
    assert len(text.encode()) < LARGEST
    kept = ReadPage(text).data
    assert 1 < len(kept["pictures"]) < 61
    assert "confusion of int8" in kept["charts"]


def test_embedded_json_ends_no_script() -> None:
    hostile = {"</script>\u2028": ["<!--", "]]>", "\u2029", "&lt;"]}
    text = embedded(hostile)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == hostile


def test_every_status_has_a_sign_beside_its_word() -> None:
    badges = [badge(status) for status in Status]
    assert all(one.word and one.sign for one in badges)
    assert {one.kind for one in badges} == {"good", "bad", "doubt"}


def test_report_writes_the_newest_run_s_page_without_tensorflow(finished: Path) -> None:
    code = (
        "import sys\nfrom edgekit.cli.main import run\nassert run(sys.argv[1:]) == 0\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report"],
        cwd=finished,
        check=True,
        capture_output=True,
        text=True,
    )
    path = finished / done.stdout.strip().removeprefix("report ")
    assert path.name == "report.html"
    assert ReadPage(path.read_text()).figures


@pytest.mark.parametrize("name", ["20260101-000000-abcdef", ".edgekit/runs/20260101-000000-abcdef"])
def test_report_finds_a_run_by_its_id_or_folder(
    finished: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    assert run(["report", name, "-o", "page.html", "-q"]) == 0
    assert capsys.readouterr().out == "page.html\n"
    before = (finished / "page.html").read_text()
    assert run(["report", name, "-o", "page.html"]) == 2
    assert "EK-OUTPUT-001" in capsys.readouterr().err
    assert run(["report", name, "-o", "page.html", "--force"]) == 0
    assert (finished / "page.html").read_text() == before


def test_report_of_a_mistyped_run_names_the_nearest(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    assert run(["report", "20260101-000000-abcdeg"]) == 2
    said = capsys.readouterr().err
    assert "EK-REPORT-001" in said
    assert "20260101-000000-abcdef" in said


def test_a_page_that_cannot_be_written_fails_no_run(
    finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = next((finished / ".edgekit" / "runs").iterdir())
    (folder / "details.json").write_text("damaged")
    with caplog.at_level(logging.WARNING, "edgekit"):
        write_beside(read(SAMPLE), folder)
    assert "warning EK-REPORT-007" in caplog.text
    assert not (folder / "report.html").exists()
