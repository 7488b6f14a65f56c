"""The page of a run in progress: how far it is, who may read it, and how the server ends."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import answer
from edgekit import scratch
from edgekit.api import find_unfinished, serve_run
from edgekit.pipeline import journal
from edgekit.report.live import RunServer, live_run
from edgekit.types.progress import PROGRESS_FILE

SAMPLE = Path(__file__).parent / "samples" / "report_failing.json"
RUN = "20260101-000000-abcdef"
LINES: list[dict[str, Any]] = [
    {"event": "expected", "stages": ["train", "convert", "evaluate"]},
    {"event": "begun", "stage": "train", "number": 1, "of": 3},
    {"event": "ended", "stage": "train", "seconds": 2.5, "cached": True, "result": "97.6 %"},
    {"event": "begun", "stage": "convert", "number": 2, "of": 3},
    {"event": "advanced", "stage": "convert", "done": 1, "total": 4, "text": "int8</script>"},
]


def write(folder: Path, *lines: dict[str, Any]) -> None:
    with (folder / PROGRESS_FILE).open("a") as file:
        for number, line in enumerate(lines):
            file.write(json.dumps({"time": 1000.0 + number, **line}) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a run that a living process holds, in its second stage."""
    made = tmp_path / ".edgekit" / "runs" / RUN
    made.mkdir(parents=True)
    write(made, *LINES)
    (made / "log.txt").write_text("first\nlast\n")
    (made / "secret.txt").write_text("secret")
    claim = scratch.claim(made)
    yield made
    claim.close()


@pytest.fixture
def server(folder: Path) -> Iterator[RunServer]:
    with serve_run(folder, 0) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(
    server: RunServer, path: str, host: str | None = None, method: str = "GET"
) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    found = connection.getresponse()
    answered = found.status, found.read().decode(), dict(found.headers)
    connection.close()
    return answered


def test_a_run_that_goes_on_tells_its_stages(folder: Path) -> None:
    found = live_run(folder)
    assert (found.state, found.begun, found.log) == ("running", 1000.0, ("first", "last"))
    train, convert, evaluate = found.stages
    assert (train.state, train.seconds, train.cached, train.text) == ("done", 2.5, True, "97.6 %")
    assert (convert.state, convert.done, convert.total) == ("running", 1.0, 4.0)
    assert (evaluate.name, evaluate.state) == ("evaluate", "to come")
    assert journal.FILE == PROGRESS_FILE


def test_a_run_that_was_killed_or_stopped_is_not_called_running(folder: Path) -> None:
    write(folder, {"event": "failed", "stage": "convert", "seconds": 1, "reason": "no space"})
    write(folder, {"event": "stopped", "reason": "no space left"})
    stopped = live_run(folder)
    assert (stopped.state, stopped.reason) == ("stopped", "no space left")
    assert [stage.state for stage in stopped.stages] == ["done", "failed"]


def test_a_run_whose_process_is_gone_was_killed(tmp_path: Path) -> None:
    write(tmp_path, *LINES)
    (tmp_path / scratch.MARK).touch()
    assert live_run(tmp_path).state == "killed"


@pytest.mark.parametrize("damage", ['{"event": "beg', "[]", '{"event": 3, "time": 1}', "\x00"])
def test_lines_that_are_cut_or_damaged_are_left_out(folder: Path, damage: str) -> None:
    before = live_run(folder)
    with (folder / PROGRESS_FILE).open("a") as file:
        file.write(damage)
    assert live_run(folder) == before


def test_the_page_shows_the_run_and_then_its_report(server: RunServer, folder: Path) -> None:
    status, text, headers = ask(server, "/")
    assert status == 200
    assert "int8\\u003c/script\\u003e" in text
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    state = json.loads(ask(server, "/progress")[1])
    assert (state["run"], state["state"], state["has_page"]) == (RUN, "running", False)
    shutil.copyfile(SAMPLE, folder / "report.json")
    assert json.loads(ask(server, "/progress")[1])["has_page"]
    assert "What stands against it" in ask(server, "/")[1]
    assert json.loads(ask(server, "/report.json")[1])["run"]


def test_a_report_that_is_damaged_is_told_on_the_page(server: RunServer, folder: Path) -> None:
    (folder / "report.json").write_text("<b>")
    status, text, _ = ask(server, "/")
    assert status == 500
    assert "EK-REPORT-002" in text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "localhost.:1"]
)
def test_a_foreign_host_is_refused(server: RunServer, host: str) -> None:
    status, text, _ = ask(server, "/", host.format(port=server.server_port))
    assert status == 421
    assert RUN not in text
    assert ask(server, "/", f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/build/",
        "/../abc",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/./log.txt/..",
        "/.edgekit-scratch",
        "/" + "a" * 5000,
        "/link",
    ],
)
def test_nothing_but_the_run_s_own_files_is_served(
    server: RunServer, folder: Path, path: str
) -> None:
    status, text, _ = ask(server, path)
    assert status == 404
    assert "secret" not in text


def test_a_link_out_of_the_folder_is_not_served(server: RunServer, folder: Path) -> None:
    (folder / "log.txt").unlink()
    (folder / "log.txt").symlink_to("/etc/passwd")
    assert ask(server, "/log.txt")[0] == 404


def test_a_request_that_changes_something_is_refused(server: RunServer) -> None:
    assert ask(server, "/", method="POST")[0] == 501
    status, text, headers = ask(server, "/progress", method="HEAD")
    assert (status, text) == (200, "")
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"


def test_a_port_that_is_taken_is_an_error_with_the_way_out(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = answer("report", "--serve", "--port", port, cwd=tmp_path)
    assert done.returncode == 2
    assert f"error EK-SERVE-001: port {port} cannot be had: another program" in done.stderr
    assert "--port 0" in done.stderr


def test_serve_prints_its_free_port_and_ends_cleanly(folder: Path, tmp_path: Path) -> None:
    code = "import sys\nfrom edgekit.cli import main\nmain(sys.argv[1:])"
    command = [sys.executable, "-c", code, "report", "--serve", "--port", "0", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        text = "".join(iter(process.stdout.readline, "}\n")) + "}"
        said = json.loads(text)
        assert said["run"] == RUN
        port = int(said["url"].rstrip("/").rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/progress")
        assert json.loads(connection.getresponse().read())["run"] == RUN
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "stopped\n")


def test_the_run_that_goes_on_comes_before_a_newer_one(folder: Path, tmp_path: Path) -> None:
    (folder.parent / "20260102-000000-abcdef").mkdir()
    assert find_unfinished(tmp_path) == folder


def test_serve_without_a_run_says_what_to_start(tmp_path: Path) -> None:
    done = answer("report", "--serve", cwd=tmp_path)
    assert done.returncode == 2
    assert "start `edgekit convert` first" in done.stderr
