"""Temporary folders: there while their process lives, swept up by the next one when it is dead."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from edgekit import scratch
from edgekit.contracts.runner import typed
from edgekit.errors import ProjectError
from edgekit.pipeline.outputs import WrittenFiles
from edgekit.process import Limits
from edgekit.store import write_bytes
from edgekit.targets.devices.local import LocalDevice
from edgekit.worker import Worker


def killed(body: str) -> None:
    """Run ``body`` in a process of its own until it says that it is ready, then kill it."""
    code = "import sys, time\nfrom pathlib import Path\n" + textwrap.dedent(body)
    code += '\nprint("ready", flush=True)\ntime.sleep(60)\n'
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_folder_is_empty_and_goes_with_its_context(tmp_path: Path) -> None:
    with scratch.held(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").touch()
        with scratch.held(tmp_path) as other:
            assert folder != other
        assert (folder / "file").exists(), "a living process's folder is left alone"
    assert list(tmp_path.iterdir()) == []


def test_folder_of_a_killed_process_is_swept_and_nothing_else(tmp_path: Path) -> None:
    theirs = [tmp_path / "edgekit-demo" / "model.tflite", tmp_path / "note.txt"]
    for path in theirs:
        write_bytes(path, b"theirs")
    (tmp_path / "link").symlink_to(tmp_path / "edgekit-demo")
    killed(f"""
        from edgekit import scratch
        context = scratch.held(Path({str(tmp_path)!r}), "edgekit-")
        (context.__enter__() / "half.bin").write_bytes(b"half")
        """)
    assert len(list(tmp_path.iterdir())) == 4
    with scratch.held(tmp_path):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["edgekit-demo", "link", "note.txt"]
    assert all(path.read_bytes() == b"theirs" for path in theirs)


def test_half_written_file_of_a_killed_process_is_swept_at_the_next_write(tmp_path: Path) -> None:
    killed(f"""
        from edgekit.store import _replacing
        context = _replacing(Path({str(tmp_path / "model.tflite")!r}))
        context.__enter__().write_bytes(b"half")
        """)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    write_bytes(tmp_path / "model.tflite", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]


@pytest.mark.parametrize("stopped", ["before", "after"])
def test_output_is_edgekits_own_when_an_earlier_run_was_killed_while_it_was_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    outputs, path = (
        WrittenFiles(tmp_path / ".edgekit" / "outputs", tmp_path),
        tmp_path / "model.tflite",
    )
    sources = []
    for number in range(3):
        sources.append(tmp_path / f"source{number}")
        sources[-1].write_bytes(b"%d" % number)
    outputs.put(sources[0], path, force=False)

    def stop(source: Path, path: Path) -> None:
        if stopped == "after":
            path.write_bytes(source.read_bytes())
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("edgekit.pipeline.outputs.place", stop)
        with pytest.raises(KeyboardInterrupt):
            outputs.put(sources[1], path, force=False)
    outputs.put(sources[2], path, force=False)
    assert path.read_bytes() == b"2"
    path.write_bytes(b"the user's")
    with pytest.raises(ProjectError):
        outputs.put(sources[2], path, force=False)


def test_record_of_an_output_goes_with_it(tmp_path: Path) -> None:
    outputs = WrittenFiles(tmp_path / ".edgekit" / "outputs", tmp_path)
    source = tmp_path / "source"
    source.write_bytes(b"model")
    for name in ("kept", "gone"):
        outputs.put(source, tmp_path / "build" / name, force=False)
    (tmp_path / "build" / "gone").unlink()
    (tmp_path / "build" / ".kept.0123abcd.part").touch()
    records = tmp_path / "build" / ".edgekit"
    (records / "odd.json").write_text("[" * 100_000)
    outputs.sweep()
    found = [json.loads(record.read_text())["path"] for record in records.iterdir()]
    assert found == ["build/kept"]
    assert {path.name for path in (tmp_path / "build").iterdir()} == {"kept", ".edgekit"}


def test_output_is_edgekits_own_when_dot_edgekit_was_deleted(tmp_path: Path) -> None:
    outputs, folder = WrittenFiles(tmp_path / ".edgekit" / "outputs", tmp_path), tmp_path / "made"
    placed = tmp_path / "build" / "saved_model"
    for turn, names in enumerate((("a", "sub/b"), ("a",))):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"%d" % turn)
        shutil.rmtree(tmp_path / ".edgekit", ignore_errors=True)
        outputs.put_folder(folder, placed, force=False)
        shutil.rmtree(folder)
    # What this run has not is gone; a file of the user's would have stayed.
    assert [path.name for path in placed.rglob("*") if path.is_file()] == ["a"]
    (placed / "a").write_bytes(b"the user's")
    (placed / "mine").touch()
    (folder).mkdir()
    (folder / "a").write_bytes(b"2")
    with pytest.raises(ProjectError):
        outputs.put_folder(folder, placed, force=False)
    outputs.put_folder(folder, placed, force=True)
    assert {path.name for path in placed.iterdir() if path.is_file()} == {"a", "mine"}


def test_temporary_files_of_a_worker_go_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is ended by a signal: what it would delete at its end is deleted for it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "system"))
    (tmp_path / "system").mkdir()
    with Worker(tmp_path / "run" / "log.txt", limits=Limits(60)) as worker:
        kept = Path(worker.call(tempfile.mkdtemp))
        assert kept.is_relative_to(tmp_path / "run")
        assert kept.exists()
    assert list((tmp_path / "system").iterdir()) == []
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["log.txt"]


SESSION: dict[str, Any] = {
    "schema": 1,
    "mode": "bench",
    "runtime": "planted",
    "threads": 1,
    "models": [],
    "inputs": {},
}


NUMBERS = {"load_ns": 1, "first_ns": 1, "memory": {"baseline_bytes": 1, "peak_bytes": 1}}
ANSWER = {"schema": 1, "runtime": "planted", "version": "1", "models": {"m": NUMBERS}}


@pytest.mark.parametrize("how", ["run", "open"])
def test_temporary_files_of_a_runner_go_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "system"))
    (tmp_path / "system").mkdir()
    (tmp_path / "runner.py").write_text(
        "import json, os, sys, tempfile, time\n"
        "made = tempfile.NamedTemporaryFile(delete=False).name\n"
        f"open({str(tmp_path / 'told' / 'where')!r}, 'w').write(made)\n"
        f"answer = json.dumps({ANSWER})\n"
        "if sys.argv[1] == '--serve': print(answer, flush=True); time.sleep(60)\n"
        "else: open(sys.argv[2], 'w').write(answer)\n"
    )
    runners = {"planted": tmp_path / "runner.py"}
    device = LocalDevice(tmp_path / "requests", tmp_path / "log.txt", Limits(60), runners)
    entry = {"id": "m", "path": str(tmp_path / "m.tflite"), "outputs": str(tmp_path / "told")}
    request = {**SESSION, "models": [entry]}
    if how == "run":
        device.run(typed(request))
    else:
        session = device.open(typed(request))
        session.ready()
        session.close()
    assert (tmp_path / "told" / "where").read_text().startswith(str(tmp_path / "requests"))
    assert list((tmp_path / "requests").iterdir()) == []
    assert list((tmp_path / "system").iterdir()) == []


def test_an_interrupt_at_any_line_leaves_no_folder(tmp_path: Path) -> None:
    lines = 0

    def interrupting(at: int) -> Any:
        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal lines
            if frame.f_code.co_filename != scratch.__file__:
                return None
            if event == "line":
                lines += 1
                if lines == at:
                    raise KeyboardInterrupt
            return trace

        return trace

    done = False
    at = 0
    while not done:
        at, lines = at + 1, 0
        before = sys.gettrace()
        try:
            sys.settrace(interrupting(at))
            with scratch.held(tmp_path) as folder:
                (folder / "file").touch()
            done = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert list(tmp_path.iterdir()) == [], f"interrupted at line {at}"
    assert at > 20
