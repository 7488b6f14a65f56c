"""The ratchet: what is worse than edgekit.lock is red, what is better tightens it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from ratchet import (
    HOST,
    ITEMS,
    Edit,
    Workshop,
    a_larger_arena,
    a_new_operator,
    a_raised_runtime,
    accuracy,
    another_network,
    another_target,
    as_long_as,
    int8,
    measured,
    no_metric,
    one_byte_more,
    two_points_lost,
)

from edgekit import api
from edgekit.errors import LockError

pytestmark = pytest.mark.usefixtures("on_x86")


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A project whose lock holds its only run."""
    made = Workshop(tmp_path)
    made.project()
    made.convert()
    code, text = made.edgekit("lock", "--update")
    assert (code, made.lock.is_file()) == (0, True), text
    return made


def a_later_version(report: Any) -> None:
    int8(report)["operators"][0]["version"] += 1


def no_runtime_at_all(report: Any) -> None:
    int8(report)["minimum_runtime"] |= {"value": None, "litert": None, "how": "unavailable"}


def two_points_lost_on_other_items(report: Any) -> None:
    two_points_lost(report)
    report["settings"]["items"]["digest"] = "d" * 64


slower_by_a_tenth = as_long_as(1.1, 1.085, 1.115)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (one_byte_more, "lock size (at most 27,736 bytes): the file has 27,737 bytes, +1 byte"),
        (a_new_operator, "adds TANH version 1"),
        (a_later_version, "raises CONV_2D version 4, before 3"),
        (a_raised_runtime, "needs TensorFlow 2.10.0 or LiteRT 1.1.0"),
        (no_runtime_at_all, "needs no release that is known"),
        (a_larger_arena, "the smallest arena is 20,544 bytes, +64 bytes"),
        (two_points_lost, "drop 2 points [1.37, 2.77]; the same items, paired"),
        (two_points_lost_on_other_items, "items differ: not paired"),
        (
            slower_by_a_tenth,
            "at most 5 % slower than the lock): 1.1 times the lock's time [1.085, 1.115]",
        ),
        (no_metric, "accuracy is missing, and the lock has it"),
    ],
)
def test_what_is_worse_than_the_lock_is_red(workshop: Workshop, fault: Edit, line: str) -> None:
    workshop.convert(fault)
    code, text = workshop.edgekit("check", "-q")
    (red,) = [one for one in text.splitlines() if one.startswith("FAILED: ")]
    assert (code, line in red) == (1, True), text


def test_same_run_again_is_green_against_its_lock(workshop: Workshop) -> None:
    workshop.convert()
    code, text = workshop.edgekit("check")
    assert code == 0
    assert "lock accuracy (not worse than 95.00%): 95.00%, drop 0 points [0, 0]" in text
    assert text.count("passed: linux-x86_64 int8 lock ") == 6


def test_target_that_is_gone_from_the_run_is_red(workshop: Workshop) -> None:
    workshop.project()
    toml = workshop.root / "edgekit.toml"
    toml.write_text(toml.read_text().replace(HOST, "android-arm64"))
    workshop.convert(another_target)
    code, text = workshop.edgekit("check")
    gone = "lock target (digits linux-x86_64 int8): lock has digits linux-x86_64 int8, and the run"
    assert (code, gone in text) == (1, True), text
    # What nothing is known of is not green either.
    assert "lock entry: edgekit.lock has no entry for digits android-arm64 int8" in text


def test_target_that_ships_another_candidate_is_red(workshop: Workshop) -> None:
    def ships_another(report: Any) -> None:
        int8(report).update(id="int8@small", precision="int8", bytes=20_000)
        int8(report)["as_is"] = True
        report["targets"][0]["candidate"] = "int8@small"

    workshop.convert(ships_another)
    code, text = workshop.edgekit("check")
    assert (code, "ships int8@small, and the lock has int8" in text) == (1, True), text


def test_narrowed_check_does_not_miss_what_it_was_not_about(workshop: Workshop) -> None:
    code, text = workshop.edgekit("check", "--target", HOST)
    assert (code, "lock target" in text) == (0, False)


def test_one_item_worse_is_inconclusive_until_a_loss_is_allowed(workshop: Workshop) -> None:
    def one_item_lost(report: Any) -> None:
        int8(report).update(accuracy(1899, 1), semantic_hash="c" * 64)

    workshop.convert(one_item_lost)
    code, text = workshop.edgekit("check")
    assert (code, "inconclusive: linux-x86_64 int8 lock accuracy" in text) == (4, True), text
    workshop.project('[lock]\nmax_drop = "1pt"\n')
    code, text = workshop.edgekit("check")
    assert (code, "lock accuracy (at most 1 point worse than 95.00%)" in text) == (0, True), text


def test_better_metric_on_other_items_passes(workshop: Workshop) -> None:
    def on_other_items(report: Any) -> None:
        int8(report).update(accuracy(1910, 0, 10), semantic_hash="c" * 64)
        report["settings"]["items"]["digest"] = "d" * 64

    workshop.convert(on_other_items)
    code, text = workshop.edgekit("check")
    assert (code, "items differ: not paired" in text) == (0, True), text


def test_size_tolerance_lets_a_file_grow_by_a_share(workshop: Workshop) -> None:
    workshop.convert(one_byte_more)
    workshop.project('[lock]\nsize_tolerance = "1%"\n')
    code, text = workshop.edgekit("check")
    assert (code, "lock size (at most 28,013 bytes)" in text) == (0, True), text


@pytest.mark.parametrize(
    ("ratio", "code", "says"),
    [
        ((1.02, 1.01, 1.03), 0, "passed: linux-x86_64 int8 latency"),
        ((1.1, 1.08, 1.12), 1, "FAILED: linux-x86_64 int8 latency"),
        ((1.04, 0.96, 1.16), 4, "inconclusive: linux-x86_64 int8 latency"),
    ],
)
def test_budget_of_a_slowdown_is_decided_against_the_lock(
    workshop: Workshop, ratio: tuple[float, float, float], code: int, says: str
) -> None:
    budget = f"[targets.{HOST}.budgets]\nlatency = {{ percent_max_degradation = 5 }}\n"
    workshop.project(budget + "[lock]\nmax_slowdown = 0.5\n")
    workshop.convert(as_long_as(*ratio))
    answered, text = workshop.edgekit("check")
    assert (answered, says in text) == (code, True), text


def test_budget_of_a_slowdown_without_a_lock_is_unavailable(workshop: Workshop) -> None:
    workshop.lock.unlink()
    workshop.project(f"[targets.{HOST}.budgets]\nlatency = {{ percent_max_degradation = 5 }}\n")
    code, text = workshop.edgekit("check")
    assert (code, f"there is no edgekit.lock with {HOST}" in text) == (3, True)


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"cpu": "another"}, 3, "another machine (cpu a processor, here another)"),
        ({}, 1, "medians of two runs on one machine"),
    ],
)
def test_times_of_another_machine_count_only_beside_a_reference(
    workshop: Workshop, change: dict[str, str], code: int, says: str
) -> None:
    """The planted fault: another network, three times as slow, and no reference was timed."""

    def slower(report: Any) -> None:
        another_network(report)
        int8(report)["latency_ratio"] = None
        for name in ("p50", "p95", "p99", "p90", "max"):
            figure = int8(report)["latency"][name]
            figure.update({end: 3 * figure[end] for end in ("value", "low", "high") if figure[end]})
        report["environment"]["device"] |= change

    workshop.convert(slower)
    answered, text = workshop.edgekit("check")
    assert (answered, says in text) == (code, True), text
    # Timed beside the reference, the other machine's figures count.
    workshop.convert(lambda report: report["environment"]["device"].update(change))
    assert workshop.edgekit("check")[0] == 0


def a_ratio_of(value: float, reference: str = "litert") -> Edit:
    """The ratio to the reference that a run measures, by itself to 2 %."""

    def edit(report: Any) -> None:
        report["reference"]["runtime"] = reference
        int8(report)["latency_ratio"] = measured(value, 0.98 * value, 1.02 * value, n=12)

    return edit


def test_the_same_network_cannot_have_become_slower(workshop: Workshop) -> None:
    """The fault that was seen: two runs of one file, 1.19 [1.174, 1.219] of the lock."""
    workshop.lock.unlink()
    workshop.convert(a_ratio_of(0.409))
    assert workshop.edgekit("lock", "--update")[0] == 0
    workshop.convert(a_ratio_of(0.487))
    code, text = workshop.edgekit("check")
    says = "the same network on the same runtime: its time, 1.19 times the lock's, is of the host"
    assert (code, says in text) == (0, True), text
    # Nor does a lucky run of it tighten the lock.
    workshop.convert(a_ratio_of(0.2))
    before = workshop.lock.read_text()
    assert workshop.edgekit("lock", "--update")[0] == 0
    assert workshop.lock.read_text() == before


def test_another_release_of_the_runtime_may_have_become_slower(workshop: Workshop) -> None:
    def newer(report: Any) -> None:
        report["environment"]["packages"]["ai-edge-litert"] = "99.0"

    workshop.lock.unlink()
    workshop.convert(a_ratio_of(0.4))
    assert workshop.edgekit("lock", "--update")[0] == 0
    workshop.convert(a_ratio_of(1.0), newer)
    code, text = workshop.edgekit("check")
    says = "2.5 times the lock's time [1.25, 5], in two runs, each of a reference"
    assert (code, says in text) == (1, True), text


@pytest.mark.parametrize(
    ("before", "now", "reference", "code"),
    [
        (0.4, 0.41, "litert", 0),
        (0.4, 0.476, "litert", 4),
        (0.4, 1.0, "litert", 1),
        # The pages' lock of a SavedModel: one file had a ninth of its ratio in another run.
        (0.4, 3.6, "tensorflow", 4),
    ],
)
def test_ratios_of_two_runs_tell_only_what_one_file_does_not_differ_by(
    workshop: Workshop, before: float, now: float, reference: str, code: int
) -> None:
    def elsewhere(report: Any) -> None:
        report["environment"]["device"]["cpu"] = "another"

    workshop.lock.unlink()
    workshop.convert(a_ratio_of(before, reference))
    assert workshop.edgekit("lock", "--update")[0] == 0
    workshop.convert(another_network, elsewhere, a_ratio_of(now, reference))
    found, text = workshop.edgekit("check")
    assert (found, "let the lock's file be timed beside it" in text) == (code, code == 4), text


@pytest.mark.parametrize(("now", "code"), [(0.41, 0), (0.476, 4), (1.2, 1)])
def test_stated_slowdown_is_kept_where_both_runs_say_so_and_red_beyond_what_runs_differ_by(
    workshop: Workshop, now: float, code: int
) -> None:
    workshop.lock.unlink()
    workshop.convert(a_ratio_of(0.4))
    assert workshop.edgekit("lock", "--update")[0] == 0
    workshop.project('[lock]\nmax_slowdown = "10%"\n')
    workshop.convert(another_network, a_ratio_of(now))
    found, text = workshop.edgekit("check")
    assert (found, "at most 10 % slower than the lock" in text) == (code, True), text


def test_lock_of_before_is_read_and_learns_whose_time_it_is(workshop: Workshop) -> None:
    lines = workshop.lock.read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith("device ="))
    assert lines[at + 1].startswith("runtime = ")
    del lines[at + 1 : lines.index("\n", at)]
    workshop.lock.write_text("".join(lines))
    workshop.convert()
    code, text = workshop.edgekit("check")
    assert (code, "the same network on the same runtime" in text) == (0, True), text
    assert workshop.edgekit("lock", "--update")[0] == 0
    (entry,) = api.read_lock(workshop.root)
    assert entry.latency is not None
    assert entry.latency.sha256 == entry.sha256


def test_the_locked_file_is_kept_for_later_runs(workshop: Workshop) -> None:
    """What a run's folder still has of it, if it is that file byte for byte."""
    content = b"a model"
    for built in (b"another", content):
        folder = workshop.convert(
            lambda report: int8(report).update(sha256=hashlib.sha256(content).hexdigest())
        )
        (folder / "build" / "int8").mkdir(parents=True)
        (folder / "build" / "int8" / "model.tflite").write_bytes(built)
        assert workshop.edgekit("lock", "--update")[0] == 0
        found = list((workshop.root / ".edgekit" / "store").glob("locked/*/model.tflite"))
        assert [path.read_bytes() for path in found] == [content] * (built == content)


def test_change_goes_red_then_green_and_tightens_the_lock(workshop: Workshop) -> None:
    before = workshop.lock.read_text()
    workshop.convert(one_byte_more, a_larger_arena)
    assert workshop.edgekit("check")[0] == 1
    code, text = workshop.edgekit("lock", "--update")
    assert (code, text.count("refused: ")) == (1, 2)
    assert workshop.lock.read_text() == before

    def mended(report: Any) -> None:
        int8(report).update(accuracy(1920, 0, 20), bytes=27_000, semantic_hash="c" * 64)

    workshop.convert(mended)
    assert workshop.edgekit("check")[0] == 0
    code, text = workshop.edgekit("lock", "--update")
    assert code == 0
    assert "digits linux-x86_64 int8: size 27,736 to 27,000 bytes" in text
    assert "digits linux-x86_64 int8: accuracy 95.00% to 96.00%" in text
    assert "latency" not in text
    # One figure a line: only what changed differs.
    changed = set(workshop.lock.read_text().splitlines()) - set(before.splitlines())
    assert "bytes = 27000" in changed
    assert "value = 0.96" in changed
    assert not any("arena" in line or "CONV_2D" in line for line in changed)
    # What was accepted binds from now on.
    workshop.convert()
    code, text = workshop.edgekit("check")
    assert (code, "lock size (at most 27,000 bytes)" in text) == (1, True)
    assert workshop.edgekit("lock", "--update")[0] == 1


@pytest.mark.parametrize(
    ("ratio", "locked"), [((0.995, 0.985, 1.005), "a"), ((0.8, 0.78, 0.82), "c")]
)
def test_lucky_run_does_not_tighten_the_latency_and_a_faster_one_does(
    workshop: Workshop, ratio: tuple[float, float, float], locked: float
) -> None:
    workshop.convert(as_long_as(*ratio))
    assert workshop.edgekit("lock", "--update")[0] == 0
    (entry,) = api.read_lock(workshop.root)
    assert entry.latency is not None
    # The new file is what is locked; its time only where it is proven to be shorter.
    assert (entry.sha256[:1], entry.latency.sha256[:1]) == ("c", locked)


def test_waiver_lets_a_worse_figure_into_the_lock(workshop: Workshop) -> None:
    workshop.convert(one_byte_more)
    workshop.project('[[waiver]]\ncheck = "size"\nreason = "a new class"\nexpires = 2999-12-31\n')
    code, text = workshop.edgekit("check")
    assert (code, "waived: linux-x86_64 int8 lock size" in text) == (0, True), text
    assert workshop.edgekit("lock", "--update")[0] == 0
    assert "bytes = 27737" in workshop.lock.read_text()
    # The lock has it now, and the waiver says that it is not needed any more.
    code, text = workshop.edgekit("check")
    assert (code, "the waiver of size matches no red check" in text) == (0, True), text


def test_red_run_is_not_locked(workshop: Workshop) -> None:
    workshop.lock.unlink()
    workshop.project(f'[targets.{HOST}.budgets]\nsize = "20 kB"\n')
    code, text = workshop.edgekit("lock", "--update")
    assert (code, "EK-LOCK-004" in text, "27,736" in text) == (2, True, True)
    assert not workshop.lock.exists()


def test_lock_is_shown_and_is_json(workshop: Workshop) -> None:
    code, text = workshop.edgekit("lock")
    assert (code, "accuracy 95.00 % [93.96, 95.87] on 2000 items" in text) == (0, True), text
    code, text = workshop.edgekit("lock", "--json", "-q")
    assert json.loads(text)["models"]["digits"]["targets"][HOST]["int8"]["bytes"] == 27_736
    workshop.lock.unlink()
    code, text = workshop.edgekit("lock")
    assert (code, "EK-LOCK-003" in text, "edgekit lock --update" in text) == (2, True, True)


HOSTILE = {
    "no TOML": (b"models = [", "TOML"),
    "no text": (b"\xff\xfe", "utf-8"),
    "truncated": (None, "edgekit.lock"),
    "merge": (b"<<<<<<< HEAD\nschema = 1\n=======\n", "merge conflict"),
    "NaN": (b"value = 0.95", b"value = nan"),
    "infinite": (b"value = 0.95", b"value = inf"),
    "huge": (b"value = 0.95", b"value = 1e300"),
    "endless": (b"bytes = 27736", b"bytes = " + b"9" * 5000),
    "negative": (b"bytes = 27736", b"bytes = -1"),
    "text": (b"bytes = 27736", b'bytes = "many"'),
    "interval": (b"low = 0.9", b"low = 0.999 #"),
    "counts": (b"lost = 0", b"lost = 2001"),
    "status": (b"bytes = 27736", b'bytes = 27736\nstatus = "passed"'),
    "version": (b'minimum_runtime = "', b'minimum_runtime = "x'),
    "deep": (b"models = " + b"[" * 5000, "nested too deeply"),
}


@pytest.mark.hostile
@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_lock_is_refused_with_the_place(workshop: Workshop, name: str) -> None:
    before, after = HOSTILE[name]
    content = workshop.lock.read_bytes()
    if before is None:
        workshop.lock.write_bytes(content[: len(content) // 2 + 3])
    elif isinstance(after, bytes):
        assert before in content
        workshop.lock.write_bytes(content.replace(before, after, 1))
    else:
        workshop.lock.write_bytes(before)
    code, text = workshop.edgekit("check")
    assert (code, "EK-LOCK-001" in text) == (2, True), text
    if isinstance(after, bytes) and name not in ("endless",):
        assert "models.digits.targets.linux-x86_64.int8" in text, text
    elif isinstance(after, str):
        assert after in text, text


@pytest.mark.hostile
def test_lock_of_a_gibibyte_or_of_a_newer_edgekit_is_refused(workshop: Workshop) -> None:
    content = workshop.lock.read_text()
    workshop.lock.write_text(content.replace("schema = 1", "schema = 2"))
    code, text = workshop.edgekit("check")
    assert (code, "EK-LOCK-002" in text, "newer edgekit: schema 2" in text) == (2, True, True)
    with workshop.lock.open("wb") as file:
        file.truncate(1 << 30)
    code, text = workshop.edgekit("check")
    assert (code, "larger than 16 MiB" in text) == (2, True)


def test_two_runs_are_compared_without_a_lock(workshop: Workshop) -> None:
    workshop.lock.unlink()
    first = workshop.root / ".edgekit" / "runs" / "run-1"
    workshop.convert(one_byte_more)
    code, text = workshop.edgekit("check", "--baseline", first)
    assert (code, "baseline size (at most 27,736 bytes)" in text) == (1, True)
    assert workshop.edgekit("check", "--baseline", first / "report.json")[0] == 1
    assert workshop.edgekit("check", first, "--baseline", first)[0] == 0
    other = workshop.convert(lambda report: report["model"].update(name="letters"))
    code, text = workshop.edgekit("check", other, "--baseline", first)
    assert (code, "EK-LOCK-008" in text, "digits" in text) == (2, True, True)


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(root), *who, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_lock_of_a_branch_is_read_from_git(workshop: Workshop) -> None:
    code, text = workshop.edgekit("check", "--baseline", "git:main")
    assert (code, "EK-LOCK-007" in text) == (2, True), text
    git(workshop.root, "init", "-q", "-b", "main")
    code, text = workshop.edgekit("check", "--baseline", "git:main")
    assert (code, "EK-LOCK-006" in text, "git fetch" in text) == (2, True, True), text
    git(workshop.root, "add", "edgekit.toml")
    git(workshop.root, "commit", "-qm", "project")
    code, text = workshop.edgekit("check", "--baseline", "git:main")
    assert (code, "EK-LOCK-003" in text) == (2, True), text
    git(workshop.root, "add", "edgekit.lock")
    git(workshop.root, "commit", "-qm", "lock")
    # The lock here is loosened by hand; that of the branch holds.
    lock = workshop.lock.read_text()
    workshop.lock.write_text(lock.replace("bytes = 27736", "bytes = 99999"))
    workshop.convert(one_byte_more)
    assert workshop.edgekit("check")[0] == 0
    code, text = workshop.edgekit("check", "--baseline", "git:main")
    assert (code, "lock size (at most 27,736 bytes)" in text) == (1, True), text
    code, text = workshop.edgekit("check", "--baseline", "git:--output=x")
    assert (code, "EK-LOCK-006" in text) == (2, True)


def test_items_count_as_the_same_only_by_digest_and_number(workshop: Workshop) -> None:
    """The planted fault: half of the items, with the digest of all of them."""

    def fewer(report: Any) -> None:
        int8(report)["metrics"]["accuracy"] |= {"n": ITEMS // 2}
        int8(report)["semantic_hash"] = "c" * 64

    workshop.convert(fewer)
    assert "items differ: not paired" in workshop.edgekit("check")[1]


def test_status_that_was_set_by_hand_is_judged_again(workshop: Workshop) -> None:
    """The planted fault: a report whose every outcome says passed, over a file that has grown."""

    def whitewashed(report: Any) -> None:
        one_byte_more(report)
        int8(report).update(status="passed", failed=[])
        report["targets"][0].update(status="passed", checks=[])
        report["verdict"] = {"status": "passed", "exit_code": 0, "checks": []}

    path = workshop.convert(whitewashed)
    assert workshop.edgekit("check")[0] == 1
    first = workshop.root / ".edgekit" / "runs" / "run-1"
    assert workshop.edgekit("check", path, "-q", "--baseline", first)[0] == 1


def test_python_reads_and_updates_the_lock(workshop: Workshop) -> None:
    (entry,) = api.read_lock(workshop.root)
    assert (entry.tag.target, entry.bytes, entry.arena) == (HOST, 27_736, 20_480)
    with pytest.raises(LockError, match="EK-LOCK-003"):
        api.read_lock(workshop.root / ".edgekit")


def test_a_lock_of_what_is_not_proven_says_that_nothing_ships(tmp_path: Path) -> None:
    made = Workshop(tmp_path)
    made.project("\n[targets.linux-x86_64.budgets]\naccuracy = { max_degradation = 0.0001 }\n")
    made.convert()
    code, text = made.edgekit("lock", "--update")
    assert code == 0, text
    assert "digits linux-x86_64 ships nothing yet" in text


def test_several_projects_have_one_verdict_each_by_its_own_lock(tmp_path: Path) -> None:
    """The planted fault: of two models the second has grown."""
    small, large = Workshop(tmp_path / "small"), Workshop(tmp_path / "large")
    for made in (small, large):
        made.root.mkdir()
        made.project(name=made.root.name)
        made.convert(lambda report, name=made.root.name: report["model"].update(name=name))
        assert made.edgekit("lock", "--update")[0] == 0
    both = Workshop(tmp_path)
    code, text = both.edgekit("check", "small", "large")
    assert (code, text.splitlines()[-1]) == (0, "verdict of 2 runs: passed"), text
    large.convert(one_byte_more, lambda report: report["model"].update(name="large"))
    code, text = both.edgekit("check", "small", "large")
    assert (code, text.splitlines()[-1]) == (1, "verdict of 2 runs: FAILED: large"), text
    assert text.index("passed: linux-x86_64 int8 lock size") < text.index("large 0.1.0 (large)")
    assert both.edgekit("check", "large")[0] == 1
    code, text = both.edgekit("check", "--json", "-q", "small", large.root / ".edgekit/runs/run-1")
    document = json.loads(text[: text.rindex("}") + 1])
    assert (code, document["verdict"]["exit_code"]) == (0, 0)
    assert [one["model"]["name"] for one in document["reports"]] == ["small", "large"]
    code, text = both.edgekit("check", "small", "medium")
    assert (code, "EK-REPORT-001" in text, "medium" in text) == (2, True, True), text
    code, text = both.edgekit("check", "small", "large", "--project", "small/edgekit.toml")
    assert (code, "EK-USAGE-001" in text) == (2, True)


def test_several_projects_write_one_file_each_for_ci(tmp_path: Path) -> None:
    for name in ("small", "large"):
        made = Workshop(tmp_path / name)
        made.root.mkdir()
        made.project(name=made.root.name)
        made.convert(lambda report, name=name: report["model"].update(name=name))
        assert made.edgekit("lock", "--update")[0] == 0
    made.convert(one_byte_more, lambda report: report["model"].update(name="large"))
    written = {"--junit": "j.xml", "--summary": "s.md", "--sarif": "s.json"}
    options = [word for pair in written.items() for word in pair]
    assert Workshop(tmp_path).edgekit("check", "small", "large", *options)[0] == 1
    suites = ET.parse(tmp_path / "j.xml").getroot()  # noqa: S314  (ours)
    red = [case for case in suites.iter("testcase") if case.find("failure") is not None]
    assert [(case.get("classname"), case.get("name")) for case in red] == [
        ("edgekit.large.linux-x86_64.int8", "lock size")
    ]
    cases = [(case.get("classname"), case.get("name")) for case in suites.iter("testcase")]
    assert len(set(cases)) == len(cases)
    assert "large: linux-x86_64" in (tmp_path / "s.md").read_text()
    assert "27,737 bytes" in (tmp_path / "s.json").read_text()


def test_a_dry_run_is_not_the_newest_run(workshop: Workshop) -> None:
    workshop.project()
    real = workshop.convert()
    workshop.convert(lambda report: report["settings"].update(dry_run=True))
    code, said = workshop.edgekit("check")
    assert code == 0
    assert said.rstrip().endswith(f"report .edgekit/runs/{real.name}")
