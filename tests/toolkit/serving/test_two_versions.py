"""Two versions side by side: a sticky split, a shadow, feedback, and the verdict on both."""

from __future__ import annotations

import hashlib
import random
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ratchet import HOST, Workshop
from registering import run_with_files
from serving import Server, doubler_bundle, serving

from conftest import answer
from edgekit.errors import ServeError
from edgekit.record import Promotion, Registry
from edgekit.serving.feedback import Feedback
from edgekit.serving.limits import Refused
from edgekit.serving.split import Split, read_split
from edgekit.store import sha256

ITEM = [1, 2, 3, 4]
PREDICT = "/v1/models/doubler:predict"
FEEDBACK, RESULTS = "/v1/models/doubler/feedback", "/v1/models/doubler/results"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The doubler in two versions, half and half."""
    folder = tmp_path_factory.mktemp("split")
    first, second = (doubler_bundle(folder, version=v) for v in ("1.2.3", "1.3.0"))
    with serving(folder, first, "--split", f"{second}=50") as running:
        yield running


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def asked(server: Server, **headers: str) -> tuple[str, str]:
    """The arm that answered a request, and the request's id."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    status, told, _ = server.exchange(PREDICT, {"instances": [ITEM]}, given)
    assert status == 200
    return told["x-arm"], told["x-request-id"]


def test_a_key_gets_the_same_version_each_time_and_keys_are_shared_out(server: Server) -> None:
    arms = {key: asked(server, X_Split_Key=f"user {key}")[0] for key in range(60)}
    assert {*arms.values()} == {"champion", "candidate"}
    assert all(asked(server, X_Split_Key=f"user {k}")[0] == arm for k, arm in arms.items())
    body = {"instances": [ITEM], "key": "user 7"}
    assert server.exchange(PREDICT, body)[1]["x-arm"] == arms[7]


def test_label_and_number_name_a_version_and_stable_is_what_the_split_decides(
    server: Server,
) -> None:
    for path, arm in (("labels/candidate", "candidate"), ("versions/1002003", "champion")):
        told = server.exchange(f"/v1/models/doubler/{path}:predict", {"instances": [ITEM]})[1]
        assert told["x-arm"] == arm
        # Whoever names a version tells nothing of the split.
        status, _ = server.ask(FEEDBACK, {"id": told["x-request-id"], "correct": True})
        assert status == 404
    stable = {
        server.exchange("/v1/models/doubler/labels/stable:predict", {"instances": [ITEM]})[1][
            "x-arm"
        ]
        for _ in range(30)
    }
    assert stable == {"champion", "candidate"}
    states = server.ask("/v1/models/doubler")[1]["model_version_status"]
    assert [one["version"] for one in states] == ["1002003", "1003000"]


def test_feedback_counts_once_for_the_version_that_answered(server: Server) -> None:
    def judged() -> dict[str, int]:
        return {arm["arm"]: arm["right"]["n"] for arm in server.ask(RESULTS)[1]["arms"]}

    before = judged()
    arm, name = asked(server)
    assert server.ask(FEEDBACK, {"id": name, "correct": True})[1] == {"arm": arm, "counted": True}
    assert server.ask(FEEDBACK, {"id": name, "correct": False})[1]["counted"] is False
    own, _ = asked(server, X_Request_Id="mine")
    assert server.ask(FEEDBACK, {"id": "mine", "correct": False})[1]["arm"] == own
    key, _ = asked(server, X_Split_Key="user 3")
    assert server.ask(FEEDBACK, {"key": "user 3", "value": 2.5})[1] == {"arm": key, "counted": True}
    after = judged()
    assert sum(after.values()) - sum(before.values()) == 2
    comparison = server.ask(RESULTS)[1]["comparison"]
    assert (comparison["of"], comparison["against"]) == ("candidate", "champion")
    assert comparison["right"]["verdict"] == "undecided"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"id": "nobody's", "correct": True}, 404, "no version"),
        ({"correct": True}, 400, "'id'"),
        ({"id": "a", "key": "b", "correct": True}, 400, "'id'"),
        ({"id": "a"}, 400, "'correct' or 'value'"),
        ({"id": "a", "correct": 1}, 400, "'correct' or 'value'"),
        ({"id": "a", "value": "much"}, 400, "'correct' or 'value'"),
        (b'{"id": "a", "value": 1e300}', 400, "'correct' or 'value'"),
        (b"[", 400, "JSON"),
    ],
)
def test_feedback_that_says_nothing_is_refused(
    server: Server, body: Any, status: int, told: str
) -> None:
    given, answered = server.ask(FEEDBACK, body)
    assert (given, told in answered["error"]) == (status, True), answered


@pytest.mark.slow
def test_a_worse_version_is_told_and_stays_so_after_a_restart(tmp_path: Path) -> None:
    first, second = (doubler_bundle(tmp_path, version=v) for v in ("1.2.3", "1.3.0"))
    rates, chance = {"champion": 1.0, "candidate": 0.2}, random.Random(0)
    words = (first, "--split", f"champion=50,{second}=50", "--feedback", "kept.jsonl")
    with serving(tmp_path, *words) as server:
        for _ in range(80):
            arm, name = asked(server)
            server.ask(FEEDBACK, {"id": name, "correct": chance.random() < rates[arm]})
        told = server.ask(RESULTS)[1]["comparison"]
        late = asked(server)
    assert told["right"]["verdict"] == "worse"
    assert told["right"]["high"] < 0
    (tmp_path / "kept.jsonl").open("ab").write(b'{"version": "half a li')
    with serving(tmp_path, *words) as server:
        assert server.ask(RESULTS)[1]["comparison"] == told
        # Ids say themselves which version answered.
        again = server.ask(FEEDBACK, {"id": late[1], "correct": True})[1]
        assert again == {"arm": late[0], "counted": True}


def test_shadow_answers_nobody_and_what_differs_is_counted(tmp_path: Path) -> None:
    first, second = (doubler_bundle(tmp_path, version=v) for v in ("1.2.3", "1.3.0"))
    with serving(tmp_path, first, "--shadow", second) as server:
        arms = {asked(server)[0] for _ in range(20)}
        while (told := server.ask(RESULTS)[1]["shadow"])["items"] < 20:
            pass
        metrics = server.ask("/metrics")[1]
        assert server.end() == 0
    assert arms == {"champion"}
    assert (told["differing"], told["missed"], told["largest_difference"]) == (0, 0, 0.0)
    assert told["share"]["high"] < 0.3
    assert 'edgekit_serve_shadow_items_total{outcome="alike"} 20.0' in metrics


def test_feedback_that_the_disk_has_no_room_for_does_not_count(tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "kept.jsonl")
    assert kept.add("first", "v", True, None)
    size = kept.path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(Refused, match="cannot be kept") as caught:
            kept.add("second", "v", True, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.status == 503
    assert kept.path.stat().st_size == size
    assert kept.tallies["v"].judged == 1
    assert kept.add("second", "v", False, None)
    assert Feedback.read(kept.path).tallies == kept.tallies


@pytest.mark.parametrize(
    "text", ["candidate", "candidate=x", "=10", "a=10,b=20,champion=70", "a=60,b=40", "a=101",
             "champion=90,candidate=20", "candidate=10,candidate=20", "champion=100"],
)  # fmt: skip
def test_split_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ServeError) as caught:
        read_split(text, ("champion", "digits@champion"))
    assert caught.value.code == "EK-SERVE-006"
    assert "champion=90,candidate=10" in caught.value.hint


def test_split_gives_what_is_left_to_the_main_version_and_shares_by_hash() -> None:
    assert read_split("candidate=10", ("champion",)) == {"champion": 90, "candidate": 10}
    assert [*read_split("candidate=5%,champion=95", ("champion",))] == ["champion", "candidate"]
    split = Split({"champion": 90, "candidate": 10})
    arms = [split.arm_of(str(k), "digits") for k in range(20_000)]
    assert 0.09 < arms.count("candidate") / 20_000 < 0.11
    # Another experiment splits the same keys otherwise.
    other = [split.arm_of(str(k), "words") for k in range(20_000)]
    both = sum(a == b == "candidate" for a, b in zip(arms, other, strict=True))
    assert both / 20_000 < 0.015


@pytest.mark.slow
def test_registered_versions_are_named_by_alias_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.targets.catalog.host", lambda: HOST)
    workshop = Workshop(tmp_path)
    workshop.project()
    for name, wrong in (("a", range(100)), ("b", range(101))):
        run_with_files(workshop, name, wrong)
        assert workshop.edgekit("registry", "add")[0] == 0
    assert workshop.edgekit("promote", "1")[0] == 0
    # What is registered here only looks like a bundle.
    bundle = doubler_bundle(tmp_path / "bundles").read_bytes()
    for number in (1, 2):
        folder = tmp_path / "registry" / "digits" / str(number)
        (packed,) = folder.rglob("*.tar.gz")
        facts = (folder / "version.json").read_text().replace(sha256(packed), digest(bundle))
        packed.write_bytes(bundle)
        (folder / "version.json").write_text(facts)
    with serving(tmp_path, "digits@champion", "--split", "2=10") as server:
        arms = {name: one["number"] for name, one in server.told["versions"].items()}
        assert server.ask("/v1/models/digits/labels/2:predict", {"instances": [ITEM]})[0] == 200
    assert arms == {"champion": 1, "2": 2}
    # Whoever promotes need tell the server nothing.
    with serving(tmp_path, "digits@champion") as server:
        moved = Promotion("champion", 2, 1, "2026-11-30T00:00:00Z", "a test")
        Registry(tmp_path / "registry").record("digits", moved)
        assert server.told_again()["versions"]["champion"]["number"] == 2
        assert server.predict(ITEM)[0] == 200
    done = answer("serve", "digits", "--split", "3=10", "--port", 0, cwd=tmp_path)
    assert (done.returncode, "it has 1, 2, champion" in done.stderr) == (2, True), done.stderr
    done = answer("serve", "digits", "--target", "arduino", "--port", 0, cwd=tmp_path)
    assert "ships nothing for arduino" in done.stderr
    packed.write_bytes(b"changed")
    done = answer("serve", "digits:2", "--port", 0, cwd=tmp_path)
    assert "is not the file that was registered" in done.stderr
