"""What the pages show is what their commands print."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import forking
import pytest
from blocks import ROOT, blocks
from page_outputs import DATA, difference, made_again, parts, scenes, settled

from conftest import BRIEF

README = ROOT / "README.md"
# Pages on the example that README converts.
EXAMPLE = tuple(
    f"docs/{name}.md"
    for name in (
        *("bundle", "convert", "faq", "lint-data", "microcontrollers", "report", "runtimes"),
        "targets",
    )
)
# On files of other projects, which lie beside this one.
PUBLISHED = "docs/inspect.md"
# Pages that make their own small models.
TASKS = (
    *(f"docs/tasks/{name}.md" for name in ("multi-label", "segmentation", "streams", "text")),
    "docs/containers.md",
)
CI = tuple(f"docs/ci/{path.name}" for path in sorted((ROOT / "docs" / "ci").glob("*.md")))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an edgekit of few timed runs: no figure of time is compared."""
    for name, value in forking.place().items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "brief.py").write_text(BRIEF)
    edgekit = folder / "edgekit"
    edgekit.write_text(f'#!/bin/sh\nexec {sys.executable} {folder / "brief.py"} "$@"\n')
    edgekit.chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the pages show a host with tflite-runtime")
@pytest.mark.parametrize(
    "pages",
    [
        ("README.md", *EXAMPLE),
        ("README.md", "docs/ci.md", *CI, "docs/gate.md", "docs/lock.md"),
        TASKS,
        (PUBLISHED,),
        ("docs/tutorial.md",),
    ],
    ids=lambda pages: pages[-1],
)
def test_pages_show_what_their_commands_print(
    tmp_path: Path, programs: Path, digits_run: Path, pages: tuple[str, ...]
) -> None:
    if PUBLISHED in pages and not os.environ.get(DATA):
        pytest.skip(f"{DATA} does not name a folder of real data")
    # The network that the example trains is the same in every folder.
    store = tmp_path / "demo" / "demo" / ".edgekit" / "store"
    shutil.copytree(digits_run / "project" / ".edgekit" / "store", store)
    # Where README only comes before, its conversion is what the others stand on.
    shown = [
        block
        for block in scenes([ROOT / page for page in pages])
        if block.page != README or block.said == "demo" or EXAMPLE[-1] in pages
    ]
    found = [
        told
        for block in shown
        if (told := difference(block, made_again(block, tmp_path, programs)))
    ]
    assert found == [], "\n".join(found)


def test_another_word_is_a_difference_and_another_time_is_none() -> None:
    block = next(scenes([README]))
    assert "verdict: passed\n" in block.text
    assert difference(block, block.text.replace("passed", "FAILED"))
    assert difference(block, block.text.replace("latency p50", "latency p51"))
    slower = re.sub(r"\d+\.\d+ s,", "1,234.5 s,", block.text)
    slower = re.sub(r"\d{8}-(?=\d{6}-)", "20270131-", slower)
    assert slower != block.text
    assert difference(block, slower) == ""
    assert difference(replace(block, text=block.text + "one line more\n"), block.text)


def test_what_a_stage_found_is_no_difference_and_a_stage_more_is_one() -> None:
    first, again = "4 of 11 lint: 1.2 s, no findings", "4 of 11 lint: from the store, no findings"
    assert settled(first) == settled(again) != settled("4 of 12 lint: 1.2 s, no findings")


def test_counts_are_compared_and_figures_of_a_host_are_not() -> None:
    assert settled("0 % [0, 0.532] of 718 items") != settled("0 % [0, 0.532] of 717 items")
    assert settled("p50  8.36 µs x0.027") == settled("p50 1.2 ms  x1.3")


def test_what_no_reader_sees_is_run_before_and_must_end_well(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    shown = "<!-- scene: s -->\n```console\n$ cat note\n```\n"
    page.write_text(f"<!-- before: s\necho seen > note\n-->\n{shown}")
    before, block = scenes([page])
    assert made_again(before, tmp_path) == before.text
    assert made_again(block, tmp_path) == "$ cat note\nseen\n"
    page.write_text("<!-- before: s\ncat gone\n-->\n")
    (before,) = scenes([page])
    with pytest.raises(RuntimeError, match="gone"):
        made_again(replace(before, page=README), tmp_path)


def test_a_command_goes_on_behind_a_backslash() -> None:
    text = "$ edgekit compare a \\\n    b\nfirst\n$ edgekit lock\n"
    assert [*parts(text)] == [("$ edgekit compare a \\\n    b", "first\n"), ("$ edgekit lock", "")]
    (block,) = blocks(README, f"<!-- scene: demo/demo -->\n```console\n{text}```\n")
    assert (block.mark, block.said) == ("scene", "demo/demo")
