"""The page of a run in a real browser: nothing is wrong in its console, or for a screen reader."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import detailing
import pytest
import ratchet
from rendered import FORMS, ReadPage, pointed

from edgekit.report.document import from_json, read
from edgekit.report.html import run_page
from edgekit.report.html.comparison import Side, comparison_page
from edgekit.report.html.measured import compared_page, evaluated_page
from edgekit.types import (
    Advice,
    Compared,
    Contrast,
    Evaluated,
    Measured,
    Measurement,
    Status,
    Verdict,
)
from edgekit.types.details import DrawnBox

SAMPLE = Path(__file__).parent / "samples" / "report_failing.json"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
PROBE = """<script>addEventListener("load", () => setTimeout(async () => {
  const wide = [document.documentElement.scrollWidth, innerWidth];
  const said = { wide, drawn: [], axe: [], cut: [] };
  for (const folded of document.querySelectorAll("main details")) folded.open = true;
  await new Promise((done) => setTimeout(done, 400));
  for (const place of document.querySelectorAll(".scroll")) {
    if (place.scrollWidth > place.clientWidth + 1) said.cut.push(place.getAttribute("aria-label"));
  }
  for (const place of document.querySelectorAll("[data-chart]")) {
    said.drawn.push([place.dataset.chart, place.querySelectorAll("svg").length]);
  }
  if (window.axe) {
    const found = await axe.run();
    said.axe = found.violations.map((one) => [one.impact, one.id, one.nodes.map((n) => n.html)]);
  }
  const answer = document.createElement("pre");
  answer.id = "probe";
  answer.textContent = JSON.stringify(said);
  document.body.append(answer);
}, 800));</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a failing run with every section filled, and words as long as names may be."""
    report, details, word = read(SAMPLE), detailing.details(), "x" * 400
    need = replace(report.candidates[-1].minimum_runtime, forced_by=word)
    last = replace(report.candidates[-1], minimum_runtime=need, problem=word)
    check = replace(report.verdict.checks[0], message=word, fix=word)
    report = replace(
        report,
        model={**report.model, "source": word},
        candidates=(*report.candidates[:-1], last),
        targets=(replace(report.targets[0], id=word), *report.targets[1:]),
        verdict=replace(report.verdict, checks=(check, *report.verdict.checks[1:])),
        advice=(Advice("EK-NOTE-001", "warning", word, word),),
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(run_page(report, replace(details, command=word)))
    return path


def opened(path: Path, width: int, *more: str) -> tuple[str, str]:
    """Open a file as a user does; the document once the scripts ran, and what Chromium says."""
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--virtual-time-budget=8000",
            f"--user-data-dir={path.parent / 'profile'}",
            f"--window-size={width},900",
            *more,
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr


def console(said: str) -> list[str]:
    return [line for line in said.splitlines() if "CONSOLE" in line]


def test_a_page_from_a_file_draws_every_chart_without_an_error(path: Path) -> None:
    text, said = opened(path, 1280)
    assert not console(said), console(said)
    page = ReadPage(text)
    document = json.loads(SAMPLE.read_text())
    for at, form, shown, value in page.figures:
        assert pointed(document, at) == value, at
        assert shown.removeprefix("~") == FORMS[form](value), at
    pareto = document["candidates"][0]["metrics"]["accuracy"]["value"]
    assert f"{100 * pareto:.2f} %" in page.visible
    pictures = [one for tag, one in page.elements if tag == "img"]
    assert pictures
    assert all(str(one["src"]).startswith("data:image/png;base64,") for one in pictures)


def probed(path: Path, width: int, theme: str) -> Any:
    """What the page is like at a width: axe, where npm installed it, looks for faults."""
    copy = path.with_name(f"probe-{width}-{theme}.html")
    text = POLICY.sub("", path.read_text())
    script = f"<script>{axe().read_text()}</script>" if axe() else ""
    forced = f'<html data-theme="{theme}"'
    copy.write_text(text.replace("<html", forced, 1).replace("</body>", f"{script}{PROBE}</body>"))
    dumped, _ = opened(copy, width)
    found = re.search(r'<pre id="probe">(.*?)</pre>', dumped, re.DOTALL)
    assert found, "the page's scripts did not end"
    return json.loads(html.unescape(found[1]))


def axe() -> Path | None:
    """axe-core, where `npm install axe-core` was run in the folder of the sources or above it."""
    root = Path(__file__).resolve().parents[3]
    folders = (folder / "node_modules" / "axe-core" for folder in (root, *root.parents))
    files = (folder / "axe.min.js" for folder in folders)
    return next((file for file in files if file.is_file()), None)


def compared() -> Compared:
    """A comparison of two models of which one is dominated."""
    models = [
        Measured(name, name, "local", "litert", "2.3.0", size, metric=Measurement(score, "1"))
        for name, size, score in (("a.tflite", 9000, 0.9), ("b.tflite", 8000, 0.91))
    ]
    settings = {"metric": "accuracy", "bounded": True, "direction": "higher"}
    contrast = Contrast("b.tflite", drop=Measurement(-0.01, "1"))
    verdict = Verdict(Status.PASSED, 0)
    return Compared("a-run", settings, tuple(models), (contrast,), {}, (), verdict)


def evaluated() -> str:
    """The page of a model by itself, with boxes on a picture."""
    model = Measured("int8", "int8", "local", "litert", "2.3.0", 9000, metric=Measurement(0.9, "1"))
    settings = {"metric": "accuracy", "bounded": True, "direction": "higher"}
    verdict = Verdict(Status.PASSED, 0)
    done = Evaluated("a-run", settings, (model,), {}, (), (), None, (), verdict)
    details = detailing.details()
    one = details.candidates["int8"]
    boxes = (DrawnBox(False, 0.1, 0.1, 0.5, 0.5, "cat"), DrawnBox(True, 0.2, 0, 1, 1, "cat", 0.9))
    worst = tuple(replace(item, boxes=boxes) for item in one.worst_items)
    return evaluated_page(
        done, replace(details, candidates={"int8": replace(one, worst_items=worst)})
    )


@pytest.mark.parametrize("kind", ["two runs", "compare", "evaluate"])
def test_the_other_pages_draw_and_have_no_barrier(kind: str, tmp_path: Path) -> None:
    if kind == "compare":
        text = compared_page(compared())
    elif kind == "evaluate":
        text = evaluated()
        assert text.count('class="halo"') == 2
    else:
        before, later = (from_json(ratchet.document()) for _ in range(2))
        sides = Side(before, detailing.details()), Side(later, detailing.details())
        text = comparison_page(*sides, later)
    (tmp_path / "page.html").write_text(text)
    _, errors = opened(tmp_path / "page.html", 1280)
    assert not console(errors), console(errors)
    said = probed(tmp_path / "page.html", 390, "light")
    assert said["wide"][0] <= max(said["wide"][1], 390)
    assert not said["cut"]
    assert said["drawn"]
    assert not [name for name, pictures in said["drawn"] if not pictures]
    serious = [one for one in said["axe"] if one[0] in ("serious", "critical")]
    assert not serious, serious


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (1280, "dark")])
def test_a_page_scrolls_in_one_direction_and_has_no_barrier(
    path: Path, width: int, theme: str
) -> None:
    said = probed(path, width, theme)
    page, window = said["wide"]
    assert page <= window
    # On a small screen a row of a wide table is a block: nothing of it lies beyond the edge.
    assert not (said["cut"] and width == 390), said["cut"]
    assert len(said["drawn"]) > 6
    assert not [name for name, pictures in said["drawn"] if not pictures]
    serious = [one for one in said["axe"] if one[0] in ("serious", "critical")]
    assert not serious, serious
