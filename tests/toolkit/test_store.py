"""The store: same key, no work; whole or not at all, whatever happens while an artefact is made."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import edgekit
from edgekit.errors import EdgekitError, ExitCode, ModelError, StoreError
from edgekit.store import Store, place, sha256, write_bytes, write_text, writing

KEY = {"model": "abc", "precision": "int8"}


class Maker:
    """Makes an artefact of one file in one subfolder, and counts how often."""

    def __init__(self, content: str = "content") -> None:
        self.content = content
        self.calls = 0

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        self.calls += 1
        (folder / "inner").mkdir()
        (folder / "inner" / "file.txt").write_text(self.content)
        return {"made": self.calls}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def left(store: Store) -> list[Path]:
    """What lies in the folder for unfinished artefacts."""
    return list((store.root / "tmp").glob("*"))


def script(store: Store, body: str) -> subprocess.Popen[str]:
    """A process that runs ``body``, which knows ``store``, ``KEY`` and what it needs to wait."""
    head = f"""
        import os, sys, time
        from pathlib import Path
        from edgekit.store import Store
        store, KEY = Store(Path({str(store.root)!r})), {KEY!r}
        """
    text = textwrap.dedent(head) + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)


def test_artefact_is_made_once_when_the_key_is_the_same(store: Store) -> None:
    make = Maker()
    first, second = store.obtain("stage", KEY, make), store.obtain("stage", KEY, make)
    assert make.calls == 1
    assert (first.cached, second.cached) == (False, True)
    assert (first.path, first.digest, first.facts) == (second.path, second.digest, {"made": 1})
    assert (second.path / "inner" / "file.txt").read_text() == "content"
    assert left(store) == []


def test_artefact_is_found_when_the_key_is_in_another_order(store: Store) -> None:
    store.obtain("stage", KEY, Maker())
    assert store.find("stage", dict(reversed(KEY.items()))) is not None


@pytest.mark.parametrize(
    ("stage", "key"),
    [("stage", {**KEY, "model": "abd"}), ("stage", {"model": "abc"}), ("other", KEY)],
    ids=["value", "part less", "stage"],
)
def test_artefact_is_made_again_when_the_key_changes(
    store: Store, stage: str, key: Mapping[str, Any]
) -> None:
    first = store.obtain("stage", KEY, Maker("old"))
    second = store.obtain(stage, key, Maker("new"))
    assert not second.cached
    assert (first.path / "inner" / "file.txt").read_text() == "old"
    assert (second.path / "inner" / "file.txt").read_text() == "new"


def test_digest_is_of_names_and_contents(store: Store) -> None:
    same = [store.obtain("stage", {"n": n}, Maker()).digest for n in range(2)]
    other = store.obtain("stage", {"n": 2}, Maker("other")).digest
    assert same[0] == same[1] != other


def _truncate(folder: Path) -> None:
    (folder / "inner" / "file.txt").write_text("con")


def _remove(folder: Path) -> None:
    (folder / "inner" / "file.txt").unlink()


def _facts(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "facts.json").write_text(content) and None


def _flip(name: str, at: int = 3) -> Callable[[Path], None]:
    """Change one bit of a file, and nothing else: neither its size nor its times."""

    def flip(folder: Path) -> None:
        path = folder / name
        before, content = path.stat(), bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return flip


def _edit(**changes: Any) -> Callable[[Path], None]:
    """Facts as another hand would write them."""

    def edit(folder: Path) -> None:
        record = json.loads((folder / "facts.json").read_text())
        (folder / "facts.json").write_text(json.dumps({**record, **changes}))

    return edit


def _instead(name: str, put: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Something else in the place of a file, or of the folder."""

    def replace(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        put(path)

    return replace


def _locked(folder: Path) -> None:
    folder.chmod(0)


@pytest.mark.parametrize(
    "damage",
    [
        _flip("inner/file.txt"),
        _edit(facts={"made": 7}),
        _edit(facts=None),
        _edit(files={}),
        _edit(files=None),
        _edit(digest="0" * 64),
        _edit(key={"model": "another"}),
        _facts("[" * 100_000),
        _facts('{"facts": ' + "9" * 5000 + "}"),
        _instead("facts.json", lambda path: path.mkdir()),
        _instead("inner", lambda path: path.touch()),
        _instead("inner/file.txt", lambda path: path.symlink_to(path)),
        _instead("", lambda path: path.touch()),
        _instead("", lambda path: path.symlink_to(path)),
        _instead("", lambda path: path.symlink_to(path / "nowhere")),
        pytest.param(_locked, marks=pytest.mark.skipif(not os.geteuid(), reason="root")),
    ],
    ids=[
        "a bit of a file",
        "a number in the facts",
        "facts of nothing",
        "no files",
        "null files",
        "digest",
        "another key",
        "deep facts",
        "a huge number",
        "folder for facts",
        "file for a folder",
        "loop for a file",
        "file for the artefact",
        "loop for the artefact",
        "dangling link",
        "no rights",
    ],
)
def test_damage_of_any_kind_is_said_and_the_artefact_made_anew(
    store: Store, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    make = Maker()
    path = store.obtain("stage", KEY, make).path
    damage(path)
    again = store.obtain("stage", KEY, make)
    assert (make.calls, again.cached, again.facts) == (2, False, {"made": 2})
    assert (again.path / "inner" / "file.txt").read_text() == "content"
    (said,) = [record.getMessage() for record in caplog.records]
    assert "EK-STORE-004" in said
    assert str(path) in said
    assert store.obtain("stage", KEY, make).cached


def test_file_is_read_again_only_when_it_was_touched(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit import store as module

    folder = store.obtain("stage", KEY, Maker()).path
    long_ago = time.time() - 60
    os.utime(folder / "inner" / "file.txt", (long_ago, long_ago))
    monkeypatch.setattr(module, "SETTLED_NS", 0)
    read: list[Path] = []
    monkeypatch.setattr(module, "sha256", lambda path: read.append(path) or sha256(path))
    for _ in range(3):
        assert store.find("stage", KEY) is not None
    assert len(read) == 1
    _flip("inner/file.txt")(folder)
    assert store.find("stage", KEY) is None


def test_facts_that_are_no_plain_json_are_found_again(store: Store) -> None:
    """Numbers as keys, tuples and NaN come back as JSON has them, and are not damage."""
    store.obtain("stage", KEY, lambda _: {10: "a", 9: (1, 2), "n": float("nan")})  # type: ignore[dict-item]
    found = store.find("stage", KEY)
    assert found is not None
    assert (found.facts["9"], found.facts["10"]) == ([1, 2], "a")


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _remove,
        lambda folder: (folder / "facts.json").unlink(),
        _facts("{"),
        _facts(""),
        _facts("[]"),
        _facts('{"files": {}}'),
        _facts('{"files": [], "digest": "", "facts": {}}'),
        lambda folder: (folder / "facts.json").write_bytes(b"\xff\xfe"),
    ],
    ids=[
        "truncated file",
        "missing file",
        "no facts",
        "broken facts",
        "empty facts",
        "odd facts",
        "half the facts",
        "odd files",
        "no text",
    ],
)
def test_artefact_is_made_again_when_damaged(store: Store, damage: Callable[[Path], None]) -> None:
    make = Maker()
    damage(store.obtain("stage", KEY, make).path)
    again = store.obtain("stage", KEY, make)
    assert (make.calls, again.cached) == (2, False)
    assert (again.path / "inner" / "file.txt").read_text() == "content"


def test_nothing_is_left_when_making_fails(store: Store) -> None:
    def fail(folder: Path) -> Mapping[str, Any]:
        (folder / "half.bin").write_bytes(b"half")
        raise ModelError("EK-MODEL-001", "planted")

    with pytest.raises(ModelError, match="planted"):
        store.obtain("stage", KEY, fail)
    assert left(store) == []
    assert store.find("stage", KEY) is None
    assert store.obtain("stage", KEY, Maker()).facts == {"made": 1}


def test_nothing_is_left_when_facts_are_no_json(store: Store) -> None:
    with pytest.raises(TypeError):
        store.obtain("stage", KEY, lambda _: {"path": Path()})
    assert left(store) == []
    assert store.find("stage", KEY) is None


def test_nothing_is_left_when_interrupted(store: Store) -> None:
    def interrupt(folder: Path) -> Mapping[str, Any]:
        (folder / "half.bin").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.obtain("stage", KEY, interrupt)
    assert left(store) == []
    assert store.find("stage", KEY) is None


def test_no_artefact_is_there_and_its_rest_is_swept_when_the_maker_is_killed(store: Store) -> None:
    process = script(
        store,
        """
        def make(folder):
            (folder / "half.bin").write_bytes(b"half")
            print("making", flush=True)
            time.sleep(60)
        store.obtain("stage", KEY, make)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "making\n"
    assert store.obtain("stage", {"another": 1}, Maker()).facts == {"made": 1}
    assert len(left(store)) == 1, "a living process's work is left alone"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert store.find("stage", KEY) is None
    assert len(left(store)) == 1
    assert store.obtain("stage", KEY, Maker()).facts == {"made": 1}
    assert left(store) == []


def test_artefact_is_made_once_when_two_processes_want_it(store: Store, tmp_path: Path) -> None:
    body = f"""
        gate = Path({str(tmp_path)!r})
        def make(folder):
            (gate / f"made-{{os.getpid()}}").touch()
            (folder / "file.bin").write_bytes(bytes(1_000_000))
            time.sleep(0.3)
            return {{"bytes": 1_000_000}}
        (gate / f"here-{{os.getpid()}}").touch()
        while len(list(gate.glob("here-*"))) < 2:
            time.sleep(0.01)
        found = store.obtain("stage", KEY, make)
        print(found.digest, found.facts["bytes"])
        """
    processes = [script(store, body) for _ in range(2)]
    said = [process.communicate(timeout=30)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert said[0] == said[1]
    assert len(list(tmp_path.glob("made-*"))) == 1
    found = store.find("stage", KEY)
    assert found is not None
    assert (found.path / "file.bin").stat().st_size == 1_000_000
    assert left(store) == []


def test_second_process_makes_it_when_the_first_is_killed(store: Store) -> None:
    first = script(
        store,
        """
        def make(folder):
            print("making", flush=True)
            time.sleep(60)
        store.obtain("stage", KEY, make)
        """,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "making\n"
    second = script(
        store,
        """
        print("asking", flush=True)
        print(store.obtain("stage", KEY, lambda folder: {"made": 2}).facts["made"])
        """,
    )
    assert second.stdout is not None
    assert second.stdout.readline() == "asking\n"
    time.sleep(0.3)
    assert second.poll() is None, "it waits"
    first.kill()
    first.communicate()
    assert second.communicate(timeout=10)[0] == "2\n"


def test_partial_work_is_kept_when_making_fails_and_removed_when_done(store: Store) -> None:
    partial = store.partial("stage", KEY)

    def fail(folder: Path) -> Mapping[str, Any]:
        partial.mkdir(parents=True)
        (partial / "epoch.txt").write_text("3")
        raise ModelError("EK-MODEL-001", "planted")

    def go_on(folder: Path) -> Mapping[str, Any]:
        return {"from": (store.partial("stage", KEY) / "epoch.txt").read_text()}

    with pytest.raises(ModelError):
        store.obtain("stage", KEY, fail)
    assert store.obtain("stage", KEY, go_on).facts == {"from": "3"}
    assert not partial.exists()


def test_partial_work_is_apart_when_the_key_changes(store: Store) -> None:
    places = {store.partial(*key) for key in [("a", KEY), ("b", KEY), ("a", {"model": "x"})]}
    assert len(places) == 3


# --- writing -------------------------------------------------------------------------------------


def test_file_is_written_whole_into_a_new_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "one")
    write_text(tmp_path / "a" / "b.txt", "two")
    assert (tmp_path / "a" / "b.txt").read_text() == "two"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]


def _write(source: Path, path: Path) -> None:
    write_bytes(path, source.read_bytes())


@pytest.mark.parametrize("put", [_write, place], ids=["write_bytes", "place"])
def test_file_is_never_seen_half_when_readers_look_all_the_time(
    tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    size = 500_000
    sources = [tmp_path / "zeros", tmp_path / "ones"]
    sources[0].write_bytes(b"0" * size)
    sources[1].write_bytes(b"1" * size)
    path = tmp_path / "out" / "file.bin"
    put(sources[0], path)
    reader = f"""
        path = Path({str(path)!r})
        print("reading", flush=True)
        for _ in range(100):
            content = path.read_bytes()
            assert len(content) == {size} and len(set(content)) == 1
        """
    process = script(Store(tmp_path), reader)
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    turn = 0
    while process.poll() is None:
        turn += 1
        put(sources[turn % 2], path)
    process.communicate()
    assert process.returncode == 0
    assert turn > 1


@pytest.mark.parametrize("put", [_write, place], ids=["write_bytes", "place"])
def test_old_file_stays_and_nothing_is_left_when_writing_fails(
    tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    resource = pytest.importorskip("resource")
    source, path = tmp_path / "source", tmp_path / "out" / "file.bin"
    write_bytes(path, b"old")
    source.write_bytes(bytes(100_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        with pytest.raises(StoreError) as caught:
            put(source, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.code == "EK-STORE-001"
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_full_device_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(StoreError) as caught, writing(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.code == "EK-STORE-001"
    assert caught.value.exit_code is ExitCode.USAGE
    assert "/dev/full" in caught.value.message
    assert "--output DIR" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "EK-STORE-001"),
        (errno.EDQUOT, "EK-STORE-001"),
        (errno.EFBIG, "EK-STORE-001"),
        (errno.EROFS, "EK-STORE-002"),
        (errno.EACCES, "EK-STORE-002"),
        (errno.EPERM, "EK-STORE-002"),
        (errno.ENOTDIR, "EK-STORE-002"),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if isinstance(value, int) else "",
)
def test_refusal_of_the_system_has_a_code(store: Store, number: int, code: str) -> None:
    def refuse(folder: Path) -> Mapping[str, Any]:
        raise OSError(number, os.strerror(number), str(folder / "file.bin"))

    with pytest.raises(StoreError) as caught:
        store.obtain("stage", KEY, refuse)
    assert caught.value.code == code
    assert "file.bin" in caught.value.message
    assert left(store) == []


def test_array_that_is_cut_short_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """numpy's own words, behind a limit on the size of files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StoreError) as caught, writing(tmp_path):
            np.save(tmp_path / "array.npy", np.zeros(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "EK-STORE-001"


def test_store_is_refused_when_a_file_lies_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "file" / "store").obtain("stage", KEY, Maker())
    assert caught.value.code == "EK-STORE-002"


@pytest.mark.parametrize("stands", ["store", "store/tmp", "store/stage"])
def test_store_is_refused_when_a_file_lies_in_a_folder_s_place(tmp_path: Path, stands: str) -> None:
    (tmp_path / stands).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / stands).touch()
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "store").obtain("stage", KEY, Maker())
    assert caught.value.code == "EK-STORE-002"


def test_other_errors_pass_unchanged(store: Store) -> None:
    def refuse(folder: Path) -> Mapping[str, Any]:
        raise OSError(errno.EIO, "planted")

    with pytest.raises(OSError, match="planted") as caught:
        store.obtain("stage", KEY, refuse)
    assert not isinstance(caught.value, EdgekitError)


def test_digest_of_a_folder_changes_with_names_and_contents(tmp_path: Path) -> None:
    write_text(tmp_path / "f" / "a", "one")
    first = sha256(tmp_path / "f")
    (tmp_path / "f" / "a").rename(tmp_path / "f" / "b")
    second = sha256(tmp_path / "f")
    write_text(tmp_path / "f" / "b", "two")
    assert len({first, second, sha256(tmp_path / "f")}) == 3


# --- from the command line -----------------------------------------------------------------------


def test_flipped_bit_in_any_artefact_changes_no_figure(
    digits_run: Path, digits: Path, tmp_path: Path
) -> None:
    """Every file of the store, changed at once: all is made anew, and said."""
    model = shutil.copy(digits_run / "project/build/digits/int8/model.tflite", tmp_path)
    command = ("evaluate", model, "--data", digits / "test.npz", "--json")
    first = edgekit(*command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    root = tmp_path / ".edgekit" / "store"
    stages = set()
    for record in root.glob("*/*/facts.json"):
        for path in record.parent.rglob("*"):
            if path.is_file() and path != record:
                _flip(path.name, path.stat().st_size // 2)(path.parent)
                stages.add(record.parent.parent.name)
    assert {"measured", "data", "index", "answers"} <= stages
    second = edgekit(*command, cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert figures(second.stdout) == figures(first.stdout) != "[]"
    for stage in stages:
        assert f"/{stage}/" in second.stderr
    assert "EK-STORE-004" not in edgekit(*command, cwd=tmp_path).stderr


def figures(text: str) -> str:
    """The accuracy of an evaluation, with its interval."""
    return str(re.findall(r'"(?:value|low|high)": [0-9.]+', text.partition('"accuracy"')[2])[:3])
