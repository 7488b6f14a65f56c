"""Several models in one project file: judged, locked and shown together, told apart by name."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ratchet import HOST, Edit, Workshop, int8, one_byte_more

from edgekit.errors import ProjectError
from edgekit.project import Project

pytestmark = pytest.mark.usefixtures("on_x86")
MODELS = f"""schema = 1
[model]
license = "MIT"
[data]
evaluate = "test.npz"
labels = ["a", "b"]
[targets.{HOST}]
precision = "int8"
[targets.{HOST}.budgets]
size = "30 kB"
[[waiver]]
check = "arena"
reason = "of all"
expires = 2999-01-01
[models.small]
source = "small.keras"
[models.large]
source = "large.keras"
data = {{ evaluate = "other.npz" }}
[models.large.targets.{HOST}.budgets]
size = "27736 B"
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A project of two models, each with a run, and a lock of both."""
    made = Workshop(tmp_path)
    (tmp_path / "edgekit.toml").write_text(MODELS.replace("arena", "size"))
    for name in ("small", "large"):
        made.convert(of(name))
    code, text = made.edgekit("lock", "--update")
    assert (code, "large linux-x86_64 int8: new" in text) == (0, True), text
    return made


def of(name: str) -> Edit:
    return lambda report: report["model"].update(name=name)


def test_model_has_its_own_tables_and_the_files_where_it_has_none(tmp_path: Path) -> None:
    file = tmp_path / "edgekit.toml"
    own = '[[models.large.waiver]]\ncheck = "size"\nreason = "its own"\nexpires = 2999-01-01\n'
    file.write_text(MODELS + own)
    small, large = Project.load_all(file)
    assert (small.model.name, small.model.license, small.model.source) == (
        "small",
        "MIT",
        "small.keras",
    )
    assert (small.data.evaluate, large.data.evaluate) == ("test.npz", "other.npz")
    assert large.data.labels == ("a", "b")
    sizes = [one.targets[HOST].budgets.size for one in (small, large)]
    assert (sizes, large.targets[HOST].precision) == ([30_000, 27_736], "int8")
    assert [len(one.waiver) for one in (small, large)] == [1, 2]
    assert Project.load(file, "large").model.source == "large.keras"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[models.large]", "[models.Small]", "EK-PROJECT-081: [models.small] and [models.Small]"),
        ('"MIT"', '"MIT"\nname = "digits"', "EK-PROJECT-081: [model] has the key 'name'"),
        ("[models.small]", '[models.small]\nname = "a"', "[models.small] has the key 'name'"),
        ("[models.small]\nsource", "[models.small]\nsorce", "unknown key 'models.small.sorce'"),
        ("[models.small]", "[models]\nx = 1\n[models.small]", "something else than tables"),
        ("[models.large]\nsource", "[models.large]\nweights", "line 17: models.large.source"),
    ],
)
def test_wrong_models_are_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = tmp_path / "edgekit.toml"
    file.write_text(MODELS.replace(old, new))
    with pytest.raises(ProjectError) as caught:
        Project.load_all(file)
    assert says in str(caught.value)


def test_command_of_one_model_asks_which(workshop: Workshop) -> None:
    with pytest.raises(ProjectError, match="EK-PROJECT-080"):
        Project.load(workshop.root / "edgekit.toml")
    code, text = workshop.edgekit("evaluate")
    assert (code, "pick one: --model small" in text) == (2, True), text
    code, text = workshop.edgekit("check", "--model", "lagre")
    assert (code, "did you mean 'large'?" in text, "it has small, large" in text) == (2, True, True)
    code, text = workshop.edgekit("convert", "a.keras", "--model", "small")
    assert (code, "EK-USAGE-001" in text) == (2, True), text


def test_red_model_among_green_ones_is_red_in_one_verdict(workshop: Workshop) -> None:
    """The planted fault: the second model has a byte more than its own budget and its lock."""
    code, text = workshop.edgekit("check", "-q")
    assert (code, text.splitlines()[-1]) == (0, "verdict of 2 runs: passed"), text
    toml = workshop.root / "edgekit.toml"
    toml.write_text(MODELS)
    workshop.convert(of("large"), one_byte_more)
    files = {"--junit": "j.xml", "--summary": "s.md", "--sarif": "s.json", "--code-quality": "q"}
    options = [word for pair in files.items() for word in pair]
    code, text = workshop.edgekit("check", "-q", *options, "--annotate", "github")
    red = [line for line in text.splitlines() if line.startswith("FAILED")]
    assert (code, len(red)) == (1, 2), text
    suites = ET.parse(workshop.root / "j.xml").getroot()  # noqa: S314  (ours)
    cases = {
        (case.get("classname"), case.get("name"))
        for case in suites.iter("testcase")
        if case.find("failure") is not None
    }
    where = f"edgekit.large.{HOST}.int8"
    assert cases == {(where, "size"), (where, "lock size")}
    summary = (workshop.root / "s.md").read_text()
    assert summary.startswith("## ❌ 2 models: failed")
    assert f"**size**<br>large: {HOST} |" in summary
    assert f"### ✅ small: {HOST}" in summary
    # The budget's own line in the file, not that of the other model's.
    line = next(n for n, text in enumerate(MODELS.splitlines(), 1) if "27736" in text)
    sarif = json.loads((workshop.root / "s.json").read_text())
    of_size = [r for r in sarif["runs"][0]["results"] if r["ruleId"] == "edgekit/size"]
    (place,) = (one["locations"][0]["physicalLocation"] for one in of_size)
    assert place["region"]["startLine"] == line
    assert place["artifactLocation"]["uri"] == "edgekit.toml"
    assert f"::error file=edgekit.toml,line={line},title=edgekit%3A large%3A {HOST} int8" in text
    quality = json.loads((workshop.root / "q").read_text())
    assert line in [entry["location"]["lines"]["begin"] for entry in quality]


def test_waiver_of_all_models_is_unused_only_where_no_model_needs_it(workshop: Workshop) -> None:
    unused = "the waiver of size matches no red check"
    assert workshop.edgekit("check")[1].count(unused) == 2
    workshop.convert(of("large"), one_byte_more)
    code, text = workshop.edgekit("check")
    assert (code, text.count("waived: "), unused in text) == (0, 2, False), text


def test_one_model_is_picked(workshop: Workshop) -> None:
    (workshop.root / "edgekit.toml").write_text(MODELS)
    workshop.convert(of("large"), one_byte_more)
    assert workshop.edgekit("check", "-q", "--model", "small")[0] == 0
    assert workshop.edgekit("check", "-q", "--model", "large")[0] == 1
    report = workshop.root / ".edgekit" / "runs" / "run-1"
    file = workshop.root / "edgekit.toml"
    assert workshop.edgekit("check", "-q", report, "--project", file)[0] == 0
    code, text = workshop.edgekit("lock", "--model", "large")
    assert (code, "large linux" in text, "small linux" in text) == (0, True, False)


def test_model_without_a_run_is_no_pass(workshop: Workshop) -> None:
    file = workshop.root / "edgekit.toml"
    file.write_text(file.read_text() + '[models.new]\nsource = "new.keras"\n')
    code, text = workshop.edgekit("check", "-q")
    assert (code, "EK-REPORT-001: there is no report of new below" in text) == (2, True), text


def test_model_that_only_the_lock_has_is_red(workshop: Workshop) -> None:
    file = workshop.root / "edgekit.toml"
    third = '[models.third]\nsource = "third.keras"\n'
    text = file.read_text().replace("[models.small]", "[models.tiny]") + third
    file.write_text(text)
    workshop.convert(of("tiny"))
    workshop.convert(of("third"))
    code, text = workshop.edgekit("check", "-q", "--summary", "s.md")
    gone = "FAILED: lock model (small): the lock has small, and edgekit.toml has no [models.small]"
    assert (code, gone in text) == (1, True), text
    assert "**lock model**" in (workshop.root / "s.md").read_text()


def test_lock_is_tightened_by_all_models_or_by_none(workshop: Workshop) -> None:
    before = workshop.lock.read_text()
    workshop.convert(of("small"), lambda report: int8(report).update(bytes=20_000))
    workshop.convert(of("large"), lambda report: int8(report).update(bytes=40_000))
    file = workshop.root / "edgekit.toml"
    file.write_text(MODELS)
    code, text = workshop.edgekit("lock", "--update")
    assert (code, "EK-LOCK-004: the run of large fails" in text) == (2, True), text
    assert workshop.lock.read_text() == before
    assert workshop.edgekit("lock", "--update", "--model", "small")[0] == 0
    assert "bytes = 20000" in workshop.lock.read_text().replace("_", "")


def test_several_project_files_of_one_folder_are_judged_each_by_its_own_run(
    workshop: Workshop,
) -> None:
    workshop.lock.unlink()
    for name, size in (("small", "30 kB"), ("large", "27736 B")):
        text = (
            f'[model]\nname = "{name}"\nsource = "a.keras"\n[targets.{HOST}]\nprecision = "int8"\n'
        )
        budgets = f'[targets.{HOST}.budgets]\nsize = "{size}"\n'
        (workshop.root / f"{name}.toml").write_text(text + budgets)
    workshop.convert(of("large"), one_byte_more)
    assert workshop.edgekit("check", "-q", "--project", "small.toml")[0] == 0
    code, text = workshop.edgekit("check", "-q", "small.toml", "large.toml")
    assert (code, text.count("\nFAILED: ")) == (1, 1), text


def test_runs_of_one_name_are_told_apart_by_their_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        made = Workshop(tmp_path / folder)
        made.root.mkdir()
        made.project()
        made.convert()
    assert Workshop(tmp_path).edgekit("check", "-q", "a", "b", "--junit", "j.xml")[0] == 0
    suites = ET.parse(tmp_path / "j.xml").getroot()  # noqa: S314  (ours)
    names = [suite.get("name") for suite in suites.iter("testsuite")]
    assert names == [f"digits (a): {HOST}", f"digits (b): {HOST}"]
