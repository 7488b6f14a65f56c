"""Images and manifests are what Docker and Kubernetes take, without rights that they do not need;
what an image would run is run here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from conftest import answer
from edgekit.containers import hashes
from edgekit.containers.manifest import MARK, USER
from edgekit.errors import ProjectError
from edgekit.loopback import free_port
from edgekit.project import Project

PROJECT = """[model]
name = "Digits.of_mine"
source = "model.py:build"
[data]
train = "train.csv"
[train]
strategy = "multi_worker"
workers = 2
kubernetes = { image = "registry.example/train:1" }
[containers]
image = "registry.example/digits:1"
canary_image = "registry.example/digits:2"
replicas = 10
"""
# Lines are as long as an image's name and what is run in it.
LINT = YamlLintConfig("extends: default\nrules: {line-length: disable}")
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The folder with what is written of a project with a bundle."""
    (tmp_path / "model.py").write_text("def build(): pass\n")
    (tmp_path / "train.csv").write_text("x,label\n1,0\n")
    (tmp_path / "edgekit.toml").write_text(PROJECT)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "digits-1.tar.gz").touch()
    done = answer("containers", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "deploy"


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


def hadolint(file: Path) -> list[str]:
    """The rules that a Dockerfile breaks."""
    command = [HADOLINT, "--format", "json", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [one["code"] for one in json.loads(done.stdout)]


def test_manifests_are_of_kubernetes_schemas_and_linted(written: Path) -> None:
    found = [*documents(written / "serving.yaml"), *documents(written / "training.yaml")]
    assert [one["kind"] for one in found] == [
        *("Service", "Deployment", "Deployment"),
        *("ConfigMap", "Service", "PersistentVolumeClaim", "Job"),
    ]
    for one in found:
        kubernetes_validate.validate(one, "1.33", strict=True)
    for file in written.glob("*.yaml"):
        assert list(linter.run(file.read_text(), LINT)) == []
    assert list(linter.run("a: 1\na: 2\n", LINT))
    found[1]["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found[1], "1.33", strict=True)


def test_one_of_ten_pods_is_the_canary_and_the_service_picks_both(written: Path) -> None:
    service, stable, canary = documents(written / "serving.yaml")
    assert (stable["spec"]["replicas"], canary["spec"]["replicas"]) == (9, 1)
    for deployment, track in ((stable, "stable"), (canary, "canary")):
        pod = deployment["spec"]["template"]
        labels = pod["metadata"]["labels"]
        assert labels["track"] == track
        assert service["spec"]["selector"].items() <= labels.items()
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        (container,) = pod["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert pod["spec"]["securityContext"]["runAsUser"] == USER
        (port,) = container["ports"]
        assert port["name"] == service["spec"]["ports"][0]["targetPort"]
    images = [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in (stable, canary)]
    assert images == ["registry.example/digits:1", "registry.example/digits:2"]


@pytest.mark.parametrize("kind", ["serving", "training"])
def test_images_are_linted_pinned_and_run_by_nobody(written: Path, kind: str) -> None:
    file = written / f"{kind}.Dockerfile"
    text = file.read_text()
    assert hadolint(file) == []
    users = re.findall(r"^USER (.*)$", text, re.MULTILINE)
    assert users == [f"{USER}:{USER}"]
    assert text.count("\nFROM ") == 2
    assert ("/healthz" in text) == (kind == "serving")
    _, why, *listed = (written / f"requirements-{kind}.txt").read_text().splitlines()
    assert "edgekit containers --hashes" in why
    pins = dict(line.split("==") for line in listed)
    assert {name: metadata.version(name) for name in pins} == pins
    assert ("tensorflow" in pins) == (kind == "training")
    assert {"edgekit", "numpy", "ai-edge-litert"} <= set(pins)
    planted = file.with_name("planted.Dockerfile")
    planted.write_text(text.replace(f"USER {USER}:{USER}", "USER root").replace("ARG BASE=", "#"))
    planted.write_text(planted.read_text().replace("FROM ${BASE}\n", "FROM python\n"))
    assert {"DL3002", "DL3006"} <= set(hadolint(planted))


def test_keys_and_what_runs_leave_stay_out_of_images(written: Path) -> None:
    training = (written / "training.Dockerfile.dockerignore").read_text().split()
    assert {".git", "*.pem", ".edgekit", "registry", ".env"} <= set(training)
    serving = (written / "serving.Dockerfile.dockerignore").read_text().splitlines()
    assert serving[1:] == ["*", "!deploy", "!dist/*.tar.gz", "!registry"]
    assert "ARG BUNDLE=dist/digits-1.tar.gz\n" in (written / "serving.Dockerfile").read_text()


def test_files_of_ones_own_are_not_overwritten(written: Path) -> None:
    root = written.parent
    assert answer("containers", cwd=root).returncode == 0
    (written / "serving.yaml").write_text("kind: Mine\n")
    done = answer("containers", cwd=root)
    assert (done.returncode, "EK-TRAIN-029" in done.stderr) == (2, True)
    assert (written / "serving.yaml").read_text() == "kind: Mine\n"
    assert answer("containers", "--force", cwd=root).returncode == 0
    done = answer("containers", "--output", "../elsewhere", cwd=root)
    assert (done.returncode, "EK-CONTAINERS-003" in done.stderr) == (2, True)
    assert not (root.parent / "elsewhere").exists()


def test_canary_leaves_a_stable_pod_and_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "edgekit.toml"
    file.write_text(f"{PROJECT}canary = 10\n")
    with pytest.raises(ProjectError, match="leaves none"):
        Project.load(file)
    from edgekit.containers import requirements

    found = metadata.distribution

    def without(name: str) -> metadata.Distribution:
        if name == "starlette":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "distribution", without)
    with pytest.raises(ProjectError, match="starlette is not installed") as told:
        requirements.requirements(("serve",), requirements.NOT_SERVING)
    assert told.value.code == "EK-CONTAINERS-002"


def test_hashes_are_of_wheels_beside_the_files_and_all_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "edgekit-0.1.0-py3-none-any.whl").write_bytes(b"a wheel")
    digest = hashlib.sha256(b"a wheel").hexdigest()
    text = f"{MARK}: Python.\nedgekit==0.1.0\n"
    assert hashes.with_hashes(text, tmp_path).endswith(f"edgekit==0.1.0 --hash=sha256:{digest}\n")
    # Nothing listens there: the index is away.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ProjectError, match="none is written") as told:
        hashes.with_hashes(f"{text}click==8.1.8\n", tmp_path)
    assert told.value.code == "EK-CONTAINERS-004"


def test_another_bundle_than_the_one_that_was_named_goes_into_no_image(
    written: Path, tmp_path: Path
) -> None:
    text = (written / "serving.Dockerfile").read_text()
    (digest,) = re.findall(r"^ARG BUNDLE_SHA256=(.*)$", text, re.MULTILINE)
    (line,) = re.findall(r"^RUN (python -c .*BUNDLE_SHA256.*)$", text, re.MULTILINE)
    line = line.replace("/model/bundle.tar.gz", str(tmp_path / "dist" / "digits-1.tar.gz"))
    for content, code in ((b"", 0), (b"another", 1)):
        (tmp_path / "dist" / "digits-1.tar.gz").write_bytes(content)
        environment = {**os.environ, "BUNDLE_SHA256": digest}
        done = subprocess.run(["sh", "-ec", line], env=environment, check=False)
        assert done.returncode == code


def test_bundle_whose_model_the_lock_does_not_have_is_warned_of(
    digits_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left_out = shutil.ignore_patterns("store", "logs")
    root = shutil.copytree(digits_run / "project", tmp_path / "project", ignore=left_out)
    assert answer("lock", "--update", cwd=root).returncode == 0
    assert answer("containers", cwd=root).returncode == 0
    assert "EK-CONTAINERS-005" not in caplog.text
    lock = root / "edgekit.lock"
    lock.write_text(re.sub(r'(?m)^(sha256 = )"[0-9a-f]{64}"', rf'\1"{"0" * 64}"', lock.read_text()))
    assert answer("containers", cwd=root).returncode == 0
    assert "EK-CONTAINERS-005" in caplog.text
    assert "edgekit.lock has 000000000000 for linux-x86_64" in caplog.text


def run_lines(text: str) -> list[str]:
    """What a Dockerfile runs in its first stage."""
    stage = text.split("\nFROM ")[1]
    return re.findall(r"^RUN (.*)$", stage, re.MULTILINE)


@pytest.mark.slow
def test_what_the_serving_image_installs_and_runs_serves_as_an_ordinary_user(
    written: Path, bundle: Path
) -> None:
    text = (written / "serving.Dockerfile").read_text()
    place = Path(f"/tmp/edgekit-image-{os.getpid()}")  # noqa: S108
    place.mkdir(mode=0o755)
    try:
        _serve(written, text, place, bundle)
    finally:
        shutil.rmtree(place)


# What an image runs as, and who may be that here.
AS_NOBODY = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")


def _python() -> tuple[str, tuple[str, ...]]:
    """A Python, and how to run it as the image's user: as this one where none lets another in."""
    name = f"python3.{sys.version_info.minor}"
    for python in (f"/usr/local/bin/{name}", f"/usr/bin/{name}"):
        command = [*AS_NOBODY, python, "-c", "import venv, ensurepip"]
        there = shutil.which(python) and os.getuid() == 0
        if there and subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return python, AS_NOBODY
    return sys.executable, ()


def _serve(written: Path, text: str, place: Path, bundle: Path) -> None:
    """Run an image's own commands, in another folder."""
    build, state = place / "build", place / "state"
    shutil.copytree(written, build)
    state.mkdir()
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    root = Path(__file__).parents[2]
    subprocess.run([*wheel, build / "wheels", root], check=True, capture_output=True)
    shutil.copyfile(bundle, place / "bundle.tar.gz")
    for one in (state, build):
        os.chown(one, USER, USER) if os.getuid() == 0 else None
    python, user = _python()
    moved = {"/opt/edgekit": f"{place}/edgekit", "/wheels": f"{build}/wheels"}
    moved |= {"python -m venv": f"{python} -m venv"}
    for line in run_lines(text):
        for old, new in moved.items():
            line = re.sub(rf"(?<![\w/]){re.escape(old)}", new, line)
        quicker = {**os.environ, "PIP_NO_COMPILE": "1"}
        subprocess.run(["sh", "-ec", line], cwd=build, check=True, capture_output=True, env=quicker)
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0])
    port = free_port()
    command = [str(place / "edgekit" / "bin" / entry[0]), *entry[1:-1], str(port)]
    command = [word.replace("/model/bundle.tar.gz", f"{place}/bundle.tar.gz") for word in command]
    environment = {"PATH": os.environ["PATH"], "HOME": str(state), "TMPDIR": str(state)}
    with (state.parent / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*user, *command], cwd=state, env=environment, stdout=log, stderr=log
        )
    try:
        _ask(port, process, place)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()


def _ask(port: int, process: subprocess.Popen[bytes], place: Path) -> None:
    for path in ("/readyz", "/healthz", "/metrics"):
        for _ in range(600):
            try:
                url = f"http://127.0.0.1:{port}{path}"
                with urllib.request.urlopen(url, timeout=5) as answered:
                    assert answered.status == 200
                    break
            except OSError:
                assert process.poll() is None, (place / "log.txt").read_text()
                time.sleep(0.1)
        else:
            raise TimeoutError((place / "log.txt").read_text())
