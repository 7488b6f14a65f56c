"""The bundle for TensorFlow Serving: its files, its client, and what published tools say."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serving as serve

from conftest import brief, edgekit, once
from edgekit.contracts.target import SAVED_DOUBLER, doubler
from edgekit.errors import BundleError
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, Answers, Contents, keep, pack, read_kept
from edgekit.targets.bundles.tf_serving import served_name, version_number
from edgekit.targets.bundles.tf_serving_warmup import record
from edgekit.types import CarriedState, TensorSpec

TARGET = catalog.load("tf-serving")
STAND_IN = Path(__file__).with_name("serving_stand_in.py")
SAVED = "models/doubler/1002003"
TFRECORD = "090000000000000037f97139313233343536373839e5b08ac7"
PACKAGES = (
    "tensorflow-serving-api==2.19.1",
    *("kubernetes-validate==1.37.0", "importlib-resources==7.1.0"),
)


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as opened:
        opened.extractall(folder)  # noqa: S202  (our own)
    (root,) = (path for path in folder.iterdir() if (path / "manifest.json").exists())
    return root


def labelled(folder: Path) -> Contents:
    contents = doubler(folder, ("a", "b", "c", "d"))
    answers = Answers("y", ("d", "d", "d"))
    return dataclasses.replace(
        contents, golden=dataclasses.replace(contents.golden, answers=answers)
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The doubler's bundle, unpacked."""
    pack(TARGET, labelled(tmp_path), tmp_path / "bundle.tar.gz")
    return unpacked(tmp_path / "bundle.tar.gz", tmp_path / "unpacked")


def client(root: Path, port: int, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "client.py", "--url", f"http://127.0.0.1:{port}", *map(str, words)]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=100
    )


@contextlib.contextmanager
def doubling(fault: float = 0.0, state: str = "AVAILABLE") -> Iterator[int]:
    """Double over the paths of TensorFlow Serving's REST API; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/v1/models/doubler/versions/1002003"
            self.answer({"model_version_status": [{"state": state}]} if known else None)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert body["signature_name"] == "serving_default"
            y = 2 * np.asarray(body["inputs"]["x"], np.float32)
            assert y.shape == (1, 4)
            y[0, 0] += fault
            known = self.path == "/v1/models/doubler/labels/stable:predict"
            self.answer({"outputs": y.tolist()} if known else None)

        def answer(self, body: Any) -> None:
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(json.dumps(body or {"error": "not there"}).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_bundle_has_the_saved_model_as_it_is_below_its_version(bundle: Path) -> None:
    assert (bundle / SAVED / "saved_model.pb").read_bytes() == SAVED_DOUBLER
    assert (bundle / "Dockerfile").read_text().startswith("FROM tensorflow/serving:2.19.1\n")
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["model"]["file"] == "model.tflite"
    assert f"{SAVED}/saved_model.pb" in manifest["files"]
    for path in bundle.rglob("*"):
        if path.suffix in (".config", ".yaml", ".py", ".md") or path.name == "Dockerfile":
            assert "@" not in path.read_text().replace("@tag", ""), path
    assert "**what is served**" in (bundle / "README.md").read_text()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"saved_model": None}, "has no SavedModel"),
        ({"precision": "int8"}, "those of int8"),
        ({"states": True}, "keeps a state"),
    ],
)
def test_what_is_no_saved_model_or_was_not_checked_has_no_bundle(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    if "states" in change:
        state = CarriedState(*(TensorSpec(name, (1, 4), "float32") for name in ("s", "t")), "")
        change = {"states": (state,)}
    contents = dataclasses.replace(doubler(tmp_path), **change)
    with pytest.raises(BundleError, match=reason) as caught:
        LAYOUTS["tf-serving"].files(TARGET, contents)
    assert caught.value.code == "EK-BUNDLE-027"
    assert "edgekit" in caught.value.hint


def test_kept_contents_have_the_saved_model_in_the_run_s_own_folder(tmp_path: Path) -> None:
    contents = doubler(tmp_path)
    keep(contents, tmp_path / "kept")
    assert contents.saved_model
    shutil.rmtree(contents.saved_model)
    again = read_kept(tmp_path / "kept", contents.model)
    assert again.saved_model == tmp_path / "kept" / "saved_model"
    assert f"{SAVED}/saved_model.pb" in LAYOUTS["tf-serving"].files(TARGET, again)
    keep(dataclasses.replace(contents, saved_model=None), tmp_path / "without")
    assert read_kept(tmp_path / "without", contents.model).saved_model is None


@pytest.mark.parametrize(
    ("version", "number"),
    [
        *(("1.2.3", 1_002_003), ("0.1.0", 1000), ("2", 2_000_000), ("2026.11.28", 2026011028)),
        *(("0.0.0", 1), ("1.2000.0", 1), ("1.2.3.4", 1), ("6f1e", 1), ("9" * 30, 1)),
    ],
)
def test_version_is_a_whole_number_in_the_order_of_releases(version: str, number: int) -> None:
    assert version_number(version) == number


def test_name_is_one_that_addresses_and_kubernetes_take() -> None:
    assert served_name("Key Words/v2") == "key-words-v2"
    assert served_name("3d") == "model-3d"
    assert len(served_name("x" * 100)) == 63


def test_record_of_the_warm_up_file_has_the_checksums_of_tfrecord() -> None:
    # Written by tf.io.TFRecordWriter.
    assert record(b"123456789").hex() == TFRECORD


def test_client_checks_the_golden_items_over_rest(bundle: Path) -> None:
    with doubling() as port:
        passed = client(bundle, port, "check")
        np.save(bundle / "mine.npy", np.array([[2, 4, 6, 8]], np.uint8))
        mine = client(bundle, port, "predict", "mine.npy")
        (bundle / "labels.txt").write_text("d\nb\nc\na\n")
        mixed = client(bundle, port, "check")
    assert passed.returncode == 0, passed.stderr
    assert "check passed on 3 golden items" in passed.stdout
    # Raw items are rescaled: (0.5 x + 1) * 2.
    assert json.loads(mine.stdout) == {"y": [4.0, 6.0, 8.0, 10.0]}
    assert mixed.returncode == 1
    assert "golden item 0 is d, and would be called a" in mixed.stdout


@pytest.mark.parametrize(
    ("fault", "state", "told"),
    [
        (1e-3, "AVAILABLE", "check FAILED on 3 golden items"),
        (float("nan"), "AVAILABLE", "largest difference inf"),
        (0.0, "LOADING", "version 1002003 of doubler is not served"),
    ],
)
def test_client_goes_red_for_a_wrong_answer_and_a_server_that_is_not_ready(
    bundle: Path, fault: float, state: str, told: str
) -> None:
    with doubling(fault, state) as port:
        done = client(bundle, port, "check")
    assert done.returncode == 1
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_client_says_which_server_does_not_answer(bundle: Path) -> None:
    with doubling() as port:
        pass
    done = client(bundle, port, "check")
    assert done.returncode == 1
    assert f"http://127.0.0.1:{port}/v1/models/doubler/versions/1002003 does" in done.stderr


def test_client_says_which_file_is_not_there(bundle: Path) -> None:
    done = client(bundle, 1, "predict", "absent.npy")
    assert (done.returncode, "absent.npy" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def packages(shared: Path) -> Path:
    """A folder with the published messages and the validator, without what they depend on."""

    def install(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        done = subprocess.run(
            [*command, str(folder), *PACKAGES], capture_output=True, text=True, check=False
        )
        if done.returncode:
            (folder / "failed").write_text(done.stderr[-300:])

    folder = once(shared / "serving-packages", install)
    if (folder / "failed").exists():
        pytest.skip(f"pip cannot install {PACKAGES}: {(folder / 'failed').read_text()}")
    return folder


@contextlib.contextmanager
def serving(root: Path, packages: Path, fault: float = 0.0) -> Iterator[dict[str, Any]]:
    """Answer from the bundle's SavedModel in TensorFlow; yield what the stand-in says of it."""
    command = [sys.executable, str(STAND_IN), str(root), str(packages), str(fault)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield dict(json.loads(line))
        process.stdin.close()


@pytest.mark.slow
def test_bundle_of_a_run_is_served_as_its_configurations_say(
    digits_run: Path, packages: Path, tmp_path: Path
) -> None:
    project = shutil.copytree(digits_run / "project", tmp_path / "project")
    done = edgekit("bundle", "--target", "tf-serving", cwd=project)
    assert done.returncode == 0, done.stderr
    (archive,) = (project / "dist").glob("*tf-serving.tar.gz")
    root = unpacked(archive, tmp_path)
    with serving(root, packages) as told:
        checked = client(root, told["port"], "check")
        raw = client(root, told["port"], "predict", "golden/input_0.npy")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    facts = json.loads((root / "serving.json").read_text())
    assert told["labels"] == {"stable": facts["version"]}
    # The warm-up request is the first golden item.
    ((name, warmed),) = told["warmed"]
    first = json.loads(raw.stdout.splitlines()[0])["output_0"]
    assert name == facts["name"]
    np.testing.assert_allclose(warmed[0], first, atol=1e-6)
    with serving(root, packages, 0.01) as told:
        wrong = client(root, told["port"], "check")
    assert (wrong.returncode, "check FAILED" in wrong.stdout) == (1, True)
    # edgekit's own server takes the same client.
    with serve.serving(tmp_path, archive) as server:
        checked = client(root, server.port, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
def test_convert_packs_the_float32_file_and_is_unavailable_for_want_of_a_server(
    digits_run: Path, tmp_path: Path
) -> None:
    project = shutil.copytree(digits_run / "project", tmp_path / "project")
    shutil.rmtree(project / "dist")
    done = brief("convert", "--target", "tf-serving", cwd=project)
    assert done.returncode == 3, done.stderr
    (archive,) = (project / "dist").glob("*tf-serving.tar.gz")
    assert (
        json.loads((unpacked(archive, tmp_path) / "manifest.json").read_text())["model"][
            "precision"
        ]
        == "float32"
    )
    # Of a float file: the run ends with its report, and says why there is no bundle.
    file = next((project / "build").rglob("float32/model.tflite"))
    done = brief(
        *("convert", file, "--project", "edgekit.toml", "--target", "tf-serving"),
        cwd=project,
    )
    assert done.returncode == 3, done.stderr
    assert "EK-NOTE-087" in done.stderr + done.stdout
    assert "has no SavedModel" in done.stderr + done.stdout


@pytest.mark.slow
def test_kubernetes_files_are_of_their_schemas(bundle: Path, packages: Path) -> None:
    def validate(*paths: Path) -> int:
        code = f"import sys; sys.path.append({str(packages)!r}); import kubernetes_validate as k"
        command = f"{code}; import yaml\nfor f in sys.argv[1:]: "
        command += "k.validate(yaml.safe_load(open(f)), '1.31', strict=True)"
        words = [sys.executable, "-c", command, *map(str, paths)]
        return subprocess.run(words, capture_output=True, check=False).returncode

    paths = sorted((bundle / "kubernetes").glob("*.yaml"))
    assert len(paths) == 2
    assert validate(*paths) == 0
    for path, right, wrong in zip(
        paths,
        ("containerPort: 8500", "port: 8500"),
        ("containerPort: x", "ports: 8500"),
        strict=True,
    ):
        path.write_text(path.read_text().replace(right, wrong))
        assert validate(path) != 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_dockerfile_has_nothing_that_its_linter_complains_of(bundle: Path, shared: Path) -> None:
    def install(folder: Path) -> None:
        (folder / "package.json").write_text('{"private": true}\n')
        command = ["npm", "install", "--no-audit", "--no-fund", "dockerfilelint@1.8.0"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            (folder / "failed").write_text(done.stderr[-300:])

    folder = once(shared / "dockerfilelint", install)
    if (folder / "failed").exists():
        pytest.skip(f"npm cannot install dockerfilelint: {(folder / 'failed').read_text()}")

    def lint() -> subprocess.CompletedProcess[str]:
        command = [str(folder / "node_modules" / ".bin" / "dockerfilelint"), "Dockerfile"]
        return subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)

    assert lint().returncode == 0, lint().stdout
    text = (bundle / "Dockerfile").read_text()
    (bundle / "Dockerfile").write_text(text.replace(":2.19.1", ":latest").replace("COPY", "COPPY"))
    assert lint().returncode != 0
