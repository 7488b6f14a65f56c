"""`edgekit serve` as its clients see it: TensorFlow Serving's paths, probes, bounds, faults."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from serving import CRASH, HANG, NAN, SLOW, Server, doubler_bundle, serving
from tflite_files import G, T, build

from conftest import answer
from edgekit.store import sha256
from edgekit.targets.runners.probe import probe_model

ITEM = [1, 2, 3, 4]
PREDICT = "/v1/models/doubler:predict"
BODY = 1 << 16


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return doubler_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Server]:
    """One server for the tests that leave it as it was."""
    bounds = ("--max-body", "64 KiB", "--timeout", "2", "--queue", "3")
    with serving(bundle.parent, bundle, *bounds) as running:
        yield running


def npy(array: Any) -> dict[str, str]:
    file = io.BytesIO()
    np.save(file, array)
    return {"b64": base64.b64encode(file.getvalue()).decode()}


def raw_exchange(server: Server, *parts: bytes, wait: float = 0.0) -> bytes:
    """Send bytes as they are; what comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(wait)
        answered = b""
        while piece := connection.recv(1 << 16):
            answered += piece
        return answered


def test_server_says_what_it_serves_and_that_it_passed_its_golden_items(server: Server) -> None:
    told = server.told["versions"]["stable"]
    assert told == {
        "version": "1.2.3",
        "number": 1002003,
        "runtime": told["runtime"],
        "self_test": "self-test passed on 3 golden items",
    }
    assert told["runtime"].startswith("litert ")
    assert server.ask("/healthz") == (200, {"status": "alive"})
    assert server.ask("/readyz")[0] == 200


@pytest.mark.parametrize("path", ["", "/versions/1002003", "/labels/stable"])
def test_status_is_that_of_tensorflow_serving(server: Server, path: str) -> None:
    state = {"version": "1002003", "state": "AVAILABLE"}
    state["status"] = {"error_code": "OK", "error_message": ""}  # type: ignore[assignment]
    assert server.ask(f"/v1/models/doubler{path}") == (200, {"model_version_status": [state]})


def test_metadata_has_the_signatures(server: Server) -> None:
    status, told = server.ask("/v1/models/doubler/metadata")
    signatures = told["metadata"]["signature_def"]["signature_def"]
    tensor = signatures["serving_default"]["inputs"]["x"]
    assert status == 200
    assert tensor["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in tensor["tensor_shape"]["dim"]] == ["-1", "4"]
    assert set(signatures) == {"serving_default", "raw"}
    assert told["edgekit"]["classes"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"instances": [ITEM]}, {"predictions": [[2, 4, 6, 8]]}),
        ({"instances": [{"x": ITEM}, {"x": ITEM}]}, {"predictions": [[2, 4, 6, 8]] * 2}),
        ({"inputs": [ITEM]}, {"outputs": [[2, 4, 6, 8]]}),
        ({"inputs": {"x": [ITEM]}}, {"outputs": [[2, 4, 6, 8]]}),
        ({"inputs": {"x": [ITEM]}, "signature_name": "raw"}, {"outputs": [[3, 4, 5, 6]]}),
        ({"inputs": npy(np.array([ITEM], ">f8"))}, {"outputs": [[2, 4, 6, 8]]}),
        ({"instances": [npy(np.array(ITEM, "u1"))]}, {"predictions": [[2, 4, 6, 8]]}),
    ],
)
def test_predict_takes_rows_columns_and_binary(
    server: Server, body: dict[str, Any], told: dict[str, Any]
) -> None:
    for path in (PREDICT, "/v1/models/doubler/versions/1002003:predict"):
        assert server.ask(path, body) == (200, told)


def test_classify_names_the_classes_of_raw_items(server: Server) -> None:
    status, told = server.ask("/v1/models/doubler:classify", {"examples": [{"x": ITEM}]})
    assert (status, told["results"]) == (200, [[["a", 3], ["b", 4], ["c", 5], ["d", 6]]])


@pytest.mark.hostile
@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "empty"),
        (b"not json", 400, "JSON"),
        (b"\xff\xfe\x00", 400, "JSON"),
        (b'{"instances": [[NaN, 1, 2, 3]]}', 400, "JSON"),
        (b'{"instances": [[1e400, 1, 2, 3]]}', 400, "range"),
        (b'{"instances": [[1e39, 1, 2, 3]]}', 400, "not finite"),
        (b'{"instances": ' + b"[" * 30000, 400, "deep"),
        (b'{"a": ' * 8000, 400, "deep"),
        (b'[{"instances": []}]', 400, "object"),
        ({}, 400, "neither of 'instances'"),
        ({"instances": [ITEM], "inputs": [ITEM]}, 400, "both"),
        ({"instances": []}, 400, "at least one"),
        ({"instances": {"x": ITEM}}, 400, "list"),
        ({"instances": ITEM}, 400, "brackets of its own"),
        ({"instances": [[1, 2, 3]]}, 400, "[4]"),
        ({"instances": [ITEM, [1]]}, 400, "one length"),
        ({"instances": [[[[[1]]]]]}, 400, "[4]"),
        ({"instances": [["1", "2", "3", "4"]]}, 400, "text"),
        ({"instances": [[True, False, True, True]]}, 400, "true and false"),
        ({"instances": [[None, 1, 2, 3]]}, 400, "no numbers"),
        ({"instances": [[10**30, 1, 2, 3]]}, 400, "no numbers"),
        ({"instances": [{"y": ITEM}]}, 400, "no input 'y'"),
        ({"instances": [{"x": ITEM}, ITEM]}, 400, "one length"),
        ({"inputs": {"xs": [ITEM]}}, 400, "did you mean 'x'"),
        ({"inputs": {"x": [ITEM]}, "signature_name": "serving"}, 400, "serving_default"),
        ({"inputs": {"b64": "###"}}, 400, "base64"),
        ({"inputs": {"b64": 3}}, 400, "base64"),
        ({"inputs": {"b64": base64.b64encode(b"text").decode()}}, 400, ".npy"),
        ({"inputs": npy(np.array([ITEM], complex))}, 400, "damaged"),
        ({"inputs": npy(np.array([{}], object))}, 400, "damaged"),
        ({"inputs": {"b64": npy(np.ones(9))["b64"][:60]}}, 400, "damaged"),
        (b" " * (BODY + 1), 413, "65,536 bytes"),
    ],
)  # fmt: skip
def test_hostile_body_is_a_clear_4xx_and_the_next_one_is_answered(
    server: Server, body: Any, status: int, told: str
) -> None:
    given, answered = server.ask(PREDICT, body)
    assert (given, told in answered["error"]) == (status, True), answered
    assert server.predict(ITEM)[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/v1/models/other:predict", {}, 404, "'doubler'"),
        ("/v1/models/doubler/versions/7", None, 404, "1002003"),
        ("/v1/models/doubler/labels/canary:predict", {}, 404, "stable"),
        ("/v1/models/doubler:regress", {}, 404, ":predict"),
        ("/v1/models/doubler:predict", None, 404, "POST :predict"),
        ("/v1/models/doubler/versions/x", None, 404, "/versions/N"),
        ("/elsewhere", None, 404, "/readyz"),
        ("/healthz", {}, 405, "POST"),
    ],
)
def test_wrong_path_is_told_what_there_is(
    server: Server, path: str, body: Any, status: int, told: str
) -> None:
    given, answered = server.ask(path, body)
    assert (given, told in answered["error"]) == (status, True), answered


@pytest.mark.hostile
def test_upload_in_chunks_without_end_is_cut_off_at_the_bound(server: Server) -> None:
    head = (
        b"POST /v1/models/doubler:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"4000\r\n" + b"1" * 0x4000 + b"\r\n"
    answered = raw_exchange(server, head, *[chunk] * 5)
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert server.predict(ITEM)[0] == 200


@pytest.mark.hostile
def test_many_large_bodies_at_a_time_are_refused_rather_than_held(server: Server) -> None:
    head = b"POST /v1/models/doubler:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 65000\r\n\r\n"
    connections = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(24)]
    for connection in connections:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head + b" " * 64000)
    answers = []
    for connection in connections:
        with contextlib.suppress(ConnectionError):
            answers.append(connection.recv(1 << 16)[:12])
        connection.close()
    assert b"HTTP/1.1 503" in answers
    # The others are held for as long as a request may take.
    assert answers.count(b"HTTP/1.1 408") >= 10
    assert server.predict(ITEM)[0] == 200


@pytest.mark.hostile
def test_client_that_is_slow_or_hangs_up_holds_up_nobody(server: Server) -> None:
    head = b"POST /v1/models/doubler:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port), 10) as gone:
        gone.sendall(head)
    answers: dict[str, bytes] = {}

    def slowly(name: str, part: bytes) -> None:
        answers[name] = raw_exchange(server, part)

    threads = [
        threading.Thread(target=slowly, args=one) for one in (("body", head), ("head", head[:50]))
    ]
    for thread in threads:
        thread.start()
    assert server.predict(ITEM)[0] == 200
    for thread in threads:
        thread.join()
    assert answers["body"].startswith(b"HTTP/1.1 408 ")
    # Without a whole head there is nobody to answer.
    assert answers["head"] == b""


@pytest.mark.hostile
def test_head_without_end_is_cut_off(server: Server) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-A: %s\r\n" % (b"1" * 1000) * 100
    with pytest.raises(ConnectionError):
        raise ConnectionError(raw_exchange(server, head))


@pytest.mark.parametrize(
    ("value", "status", "told"),
    [
        (CRASH, 500, "SIGSEGV"),
        (HANG, 504, "within 2 s"),
        (NAN, 500, "NaN"),
    ],
)
def test_runner_that_comes_to_its_end_costs_its_own_request_alone(
    server: Server, value: float, status: int, told: str
) -> None:
    answers: list[tuple[int, Any]] = []
    threads = [
        threading.Thread(target=lambda item=item: answers.append(server.predict(item)))
        for item in ([value, 0, 0, 0], ITEM)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    wrong = [one for one in answers if one[0] != 200]
    assert [one[0] for one in wrong][:1] == [status], answers
    assert told in wrong[0][1]["error"]
    # One that waited behind a runner that hung has waited as long.
    assert len(wrong) == 1 or wrong[1][0] == 504
    deadline = time.monotonic() + 20
    while server.predict(ITEM)[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.ask("/readyz")[0] == 200


def test_full_queue_says_when_to_come_again(server: Server) -> None:
    answers: list[tuple[int, Any, Any]] = []
    body = {"instances": [[SLOW, 0, 0, 0]]}
    threads = [
        threading.Thread(target=lambda: answers.append(server.exchange(PREDICT, body)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [one for one in answers if one[0] == 503]
    assert len(refused) >= 3
    assert all(one[1]["retry-after"] == "1" for one in refused)
    assert "3 requests wait" in refused[0][2]["error"]


def test_metrics_count_requests_by_code_version_and_arm(server: Server) -> None:
    server.predict(ITEM)
    server.predict([])
    status, text = server.ask("/metrics")
    assert status == 200
    labels = 'arm="stable",code="%s",model="doubler",version="1002003"'
    for code in ("200", "400"):
        assert f"edgekit_serve_requests_total{{{labels % code}}}" in text
    for name in ("request_seconds_bucket", "runner_seconds_count", "queue_length", "in_flight"):
        assert f"\nedgekit_serve_{name}" in text
    assert "_created" not in text


def test_client_of_the_tensorflow_serving_bundle_runs_against_it(tmp_path: Path) -> None:
    archive = doubler_bundle(tmp_path, "tf-serving")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "client")  # noqa: S202  (our own)
    (root,) = (tmp_path / "client").iterdir()

    def client(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "client.py", "--url", f"http://127.0.0.1:{server.port}", *words]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    # The bundle as it lies unpacked.
    with serving(tmp_path, root) as server:
        checked = client("check")
        np.save(root / "mine.npy", np.array([[2, 4, 6, 8]], np.uint8))
        mine = client("predict", "mine.npy")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "check passed on 3 golden items" in checked.stdout
    assert json.loads(mine.stdout) == {"y": [4.0, 6.0, 8.0, 10.0]}


def test_reload_and_shutdown_lose_no_request(bundle: Path, tmp_path: Path) -> None:
    served = tmp_path / "served.tar.gz"
    shutil.copyfile(bundle, served)
    newer = doubler_bundle(tmp_path, version="1.3.0")
    codes: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            codes.append(server.predict(ITEM)[0])

    with serving(tmp_path, served) as server:
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        newer.replace(served)
        server.process.send_signal(signal.SIGHUP)
        assert server.told_again()["versions"]["stable"]["version"] == "1.3.0"
        served.write_bytes(b"damaged")
        server.process.send_signal(signal.SIGHUP)
        while 'reloads_total{outcome="failed"} 1' not in server.ask("/metrics")[1]:
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()
        slow = threading.Thread(target=lambda: codes.append(server.predict([SLOW, 0, 0, 0])[0]))
        slow.start()
        time.sleep(0.2)
        assert server.end(signal.SIGINT) == 0
        slow.join()
    assert set(codes) == {200}
    assert len(codes) > 20
    assert "EK-BUNDLE-002" in (tmp_path / "stderr.txt").read_text()
    assert "stopped" not in (tmp_path / "stderr.txt").read_text()


def test_killed_server_leaves_no_runner(bundle: Path, tmp_path: Path) -> None:
    with serving(tmp_path, bundle) as server:
        runners = psutil.Process(server.process.pid).children(recursive=True)
        assert runners
        server.end(signal.SIGKILL)
        _, left = psutil.wait_procs(runners, 10)
    assert not left


def test_port_in_use_is_said_at_once(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = answer("serve", bundle, "--port", other.getsockname()[1], cwd=bundle.parent)
    assert done.returncode == 2
    assert "EK-SERVE-001" in done.stderr
    assert "another program listens there" in done.stderr


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("absent.tar.gz", "EK-SERVE-003", "there is no"),
        ("digits@champion", "EK-SERVE-003", "registry"),
        ("notes.txt", "EK-SERVE-003", "nothing that can be served"),
        ("damaged.tar.gz", "EK-BUNDLE-002", "truncated or damaged"),
        ("folder", "EK-BUNDLE-001", "not an unpacked bundle"),
        ("damaged.tflite", "EK-RUNNER-002", "cannot run"),
        ("text.tflite", "EK-SERVE-003", "no number"),
    ],
)
def test_what_cannot_be_served_ends_with_the_reason(
    tmp_path: Path, name: str, code: str, told: str
) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "damaged.tar.gz").write_bytes(b"damaged")
    (tmp_path / "damaged.tflite").write_bytes(b"damaged")
    (tmp_path / "folder").mkdir()
    strings = build(G([T("x", (1,), "STRING"), T("y", (1,), "STRING")], [], ["x"], ["x"]))
    (tmp_path / "text.tflite").write_bytes(strings)
    done = answer("serve", name, "--port", 0, cwd=tmp_path)
    assert (code in done.stderr, told in done.stderr) == (True, True), done.stderr
    assert done.returncode in (1, 2, 5)
    assert "Traceback" not in done.stderr


def test_bundle_whose_golden_items_are_off_is_not_served(bundle: Path, tmp_path: Path) -> None:
    with tarfile.open(bundle) as opened:
        opened.extractall(tmp_path)  # noqa: S202  (our own)
    (root,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (golden,) = root.glob("golden/output*.npy")
    np.save(golden, np.load(golden) + 1)
    done = answer("serve", root, "--port", 0, cwd=tmp_path)
    assert (done.returncode, "EK-BUNDLE-005" in done.stderr) == (1, True), done.stderr
    # As if it had been made so.
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["files"][f"golden/{golden.name}"]["sha256"] = sha256(golden)
    (root / "manifest.json").write_text(json.dumps(manifest))
    done = answer("serve", root, "--port", 0, cwd=tmp_path)
    assert (done.returncode, "EK-SERVE-005" in done.stderr) == (1, True), done.stderr
    assert "off by 1" in done.stderr


@pytest.mark.slow
def test_tflite_without_a_bundle_is_served_and_says_what_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "adder.tflite").write_bytes(probe_model())
    with serving(tmp_path, "adder.tflite", "--host", "0.0.0.0") as server:  # noqa: S104
        assert "no golden items" in server.told["versions"]["stable"]["self_test"]
        assert server.ask("/v1/models/adder:predict", {"instances": [ITEM]})[0] == 200
        assert (
            server.ask("/v1/models/adder:predict", {"instances": [ITEM], "signature_name": "raw"})[
                0
            ]
            == 400
        )


@pytest.mark.slow
def test_keras_model_is_exported_and_answers_as_its_bundle_does(
    digits_run: Path, tmp_path: Path
) -> None:
    (model,) = (digits_run / "project" / "build" / "digits").glob("*.keras")
    (bundle,) = (digits_run / "project" / "dist").glob("*linux-x86_64.tar.gz")
    item = np.random.default_rng(0).random((8, 8, 1)).round(2).tolist()
    told = []
    for source in (model, bundle):
        with serving(tmp_path, source, "--name", "digits") as server:
            told.append(server.predict(item)[1]["predictions"][0])
    np.testing.assert_allclose(told[0], told[1], atol=0.05)


@pytest.mark.slow
def test_ctrl_c_while_a_keras_model_is_exported_ends_at_once_and_leaves_nothing(
    digits_run: Path, tmp_path: Path
) -> None:
    (model,) = (digits_run / "project" / "build" / "digits").glob("*.keras")
    work, cwd = tmp_path / "tmp", tmp_path / "cwd"
    work.mkdir()
    cwd.mkdir()
    program = str(Path(sys.executable).with_name("edgekit"))
    command = [program, "serve", str(model), "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(work)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, and with them a CI's, ignore it otherwise.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    until = time.monotonic() + 60
    while not list(work.rglob("exported")) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert (said[0], "Traceback" in said[1]) == ("", False)
    psutil.wait_procs(children, timeout=10)
    assert [child for child in children if child.is_running()] == []
    assert [*work.iterdir(), *cwd.iterdir()] == []
