"""``edgekit bundle``: of a finished run the bytes that convert packed, of a file golden pairs."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from conftest import answer
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, verify
from edgekit.targets.bundles.verify import read_bundle_manifest
from edgekit.targets.runners.probe import probe_model


def bundled(*words: object, cwd: Path) -> list[Path]:
    done = answer("bundle", *words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return [Path(one["bundle"]["path"]) for one in json.loads(done.stdout)["bundles"]]


def test_a_finished_run_gives_the_bytes_that_convert_packed(
    digits_run: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(digits_run / "project", tmp_path / "project"))
    (packed,) = (project / "dist").glob("*.tar.gz")
    (run,) = (path.parent for path in (project / ".edgekit" / "runs").glob("*/contents"))
    for source in ([], [run], [run.name], [run / "report.json"]):
        if source == [run.name]:
            shutil.copytree(run, tmp_path / ".edgekit" / "runs" / run.name, dirs_exist_ok=True)
        words = [*source, "--project", project / "edgekit.toml"]
        if not source:
            words += ["--output", project]
            before = packed.read_bytes()
            assert bundled(*words, cwd=tmp_path) == [packed]
            assert packed.read_bytes() == before
            continue
        (made,) = bundled(*words, "--output", tmp_path, cwd=tmp_path)
        assert made.read_bytes() == packed.read_bytes()


def test_a_finished_run_gives_bundles_for_other_targets(digits_run: Path, tmp_path: Path) -> None:
    project = digits_run / "project"
    (run,) = (path.parent for path in (project / ".edgekit" / "runs").glob("*/contents"))
    words = [run, "--project", project / "edgekit.toml", "--output", tmp_path]
    made = bundled(*words, "--target", "pi4", "--target", "linux-aarch64", cwd=tmp_path)
    manifests = [read_bundle_manifest(path) for path in made]
    assert [one["target"] for one in manifests] == ["raspberry-pi-4", "linux-aarch64"]
    assert manifests[0]["gate"]["status"] == "not evaluated"
    assert manifests[0]["model"]["precision"] == "int8"


def test_a_file_alone_gives_golden_pairs_that_say_they_were_drawn(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    words = ("probe.tflite", "--target", "linux-x86_64")
    (first,) = bundled(*words, cwd=tmp_path)
    (again,) = bundled(*words, "--output", tmp_path / "again", cwd=tmp_path)
    assert first.read_bytes() == again.read_bytes()
    found = verify(first)
    assert found.tested
    assert "drawn with a seed" in found.manifest["golden"]["items"]
    assert found.manifest["measurements"] == {}
    np.savez(tmp_path / "items.npz", x=np.random.default_rng(0).random((9, 4), np.float32))
    (real,) = bundled(*words, "--data", "items.npz", "--force", cwd=tmp_path)
    assert "real items" in read_bundle_manifest(real)["golden"]["items"]


def _change_a_file(bundle: Path) -> None:
    """Append to one file of a bundle, whose manifest then says otherwise."""
    packed = io.BytesIO()
    with tarfile.open(bundle) as old, tarfile.open(fileobj=packed, mode="w:gz") as new:
        for member in old:
            content = old.extractfile(member)
            text = content.read() if content else b""
            text += b"mine" if member.name.endswith("README.md") else b""
            member.size = len(text)
            new.addfile(member, io.BytesIO(text))
    bundle.write_bytes(packed.getvalue())


def test_what_cannot_be_bundled_is_said_and_a_file_of_the_users_stays(tmp_path: Path) -> None:
    for words in ((), ("absent",), ("model.keras",)):
        done = answer("bundle", *words, cwd=tmp_path)
        assert (done.returncode, "EK-BUNDLE-040" in done.stderr) == (2, True), done.stderr
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    words = ("bundle", "probe.tflite", "--target", "linux-x86_64")
    (path,) = bundled(*words[1:], cwd=tmp_path)
    shutil.rmtree(tmp_path / ".edgekit")
    before = path.read_bytes()
    np.savez(tmp_path / "items.npz", x=np.random.default_rng(0).random((9, 4), np.float32))
    # A bundle is known by its manifest, too.
    assert answer(*words, "--data", "items.npz", cwd=tmp_path).returncode == 0
    assert path.read_bytes() != before
    shutil.rmtree(tmp_path / ".edgekit")
    _change_a_file(path)
    changed = path.read_bytes()
    done = answer(*words, cwd=tmp_path)
    assert (done.returncode, "EK-OUTPUT-001" in done.stderr) == (2, True), done.stderr
    assert path.read_bytes() == changed
    done = answer(*words, "--kind", "microcontroller", cwd=tmp_path)
    assert (done.returncode, "EK-PROJECT-072" in done.stderr) == (2, True), done.stderr
    done = answer(*words, "--force", "--max-delta", "1 kB", cwd=tmp_path)
    assert (done.returncode, "--delta-from" in done.stderr) == (2, True), done.stderr


def test_of_several_targets_those_that_can_be_made_are(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    (alone,) = bundled("probe.tflite", "--target", "linux-x86_64", cwd=tmp_path)
    words = ("bundle", "probe.tflite", "--target", "tf-serving", "--target", "linux-x86_64")
    done = answer(*words, "--output", "several", "--json", cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    told = json.loads(done.stdout)
    ((made,), (unmade,)) = told["bundles"], told["not_made"]
    assert Path(made["bundle"]["path"]).read_bytes() == alone.read_bytes()
    assert [path.name for path in (tmp_path / "several" / "dist").iterdir()] == [alone.name]
    assert (unmade["target"], unmade["kind"]) == ("tf-serving", "tf-serving")
    assert (unmade["status"], unmade["code"]) == ("incompatible", "EK-BUNDLE-027")
    shown = answer(*words, cwd=tmp_path)
    assert shown.returncode == 5
    last = shown.stdout.splitlines()[-4:]
    assert last[1].split() == ["linux-x86_64", *last[1].split()[1:3], "made:", "linux-python"]
    assert "not made: INCOMPATIBLE, because probe has no bundle" in last[2]
    assert "edgekit convert --target tf-serving" in last[3]
    done = answer("bundle", "probe.tflite", "--target", "tf-serving", cwd=tmp_path)
    assert (done.returncode, "EK-BUNDLE-027" in done.stderr) == (5, True), done.stderr


def test_nothing_is_written_where_a_file_of_the_users_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    words = ("bundle", "probe.tflite", "--target", "linux-aarch64", "--target")
    bundled("probe.tflite", "--target", "linux-x86_64", cwd=tmp_path)
    (path,) = (tmp_path / "dist").iterdir()
    path.write_bytes(b"mine")
    done = answer(*words, "linux-x86_64", cwd=tmp_path)
    assert (done.returncode, "EK-OUTPUT-001" in done.stderr) == (2, True), done.stderr
    assert [one.read_bytes() for one in (tmp_path / "dist").iterdir()] == [b"mine"]


def test_all_are_the_targets_that_take_the_kind(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    made = bundled("probe.tflite", "--all", "--kind", "android", cwd=tmp_path)
    takes = {target.id for target in catalog.every() if "android" in target.bundles}
    assert {read_bundle_manifest(path)["target"] for path in made} == takes
    done = answer("bundle", "probe.tflite", "--all", "--target", "pi4", cwd=tmp_path)
    assert (done.returncode, "--all is every target" in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("model", ["digits", "two_inputs"])
def test_every_target_of_the_catalog_gets_a_bundle_of_the_same_bytes_twice_that_verifies(
    model: str, digits_run: Path, models: Path, tmp_path: Path
) -> None:
    if model == "digits":
        project = digits_run / "project"
        (run,) = (path.parent for path in (project / ".edgekit" / "runs").glob("*/contents"))
    else:
        random = np.random.default_rng(0)
        left, right = (random.random((64, size), np.float32) for size in (4, 2))
        np.savez(tmp_path / "items.npz", left=left, right=right, y=left.sum(axis=1))
        words = ["--precision=float32", "--precision=int8", "--max-drop=1000", "--quiet"]
        file = models / "two_inputs.keras"
        done = answer("convert", file, "--data", "items.npz", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (run,) = (tmp_path / ".edgekit" / "runs").iterdir()
    told = {}
    # Which bytes are made anew is a matter of the target, and not of the model; what a model of
    # two inputs is to an app, one of the kind of bundle.
    folders, chosen, words = ("first", "again"), [*catalog.names()], ["--all"]
    if model != "digits":
        folders, chosen = ("first",), [*{t.bundle: t.id for t in catalog.every()}.values()]
        words = [f"--target={name}" for name in chosen]
    for folder in folders:
        done = answer("bundle", run, *words, "--output", folder, "--json", cwd=tmp_path)
        told[folder] = json.loads(done.stdout)
        reasons = {(one["target"], one["code"]) for one in told[folder]["not_made"]}
        # Edge TPU's compiler is not in Debian, PyPI or npm.
        assert reasons <= {
            ("coral-dev-board", "EK-DEVICE-011"),
            ("coral-usb-accelerator", "EK-DEVICE-011"),
        }, reasons
        assert done.returncode == (3 if reasons else 0)
    first, *again = ([Path(o["bundle"]["path"]) for o in t["bundles"]] for t in told.values())
    assert len(first) >= len(chosen) - 2
    for others in again:
        assert [one.read_bytes() for one in first] == [one.read_bytes() for one in others]
    assert all(verify(one).tested for one in first)


def test_a_delta_that_is_too_large_fails_the_gate(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    words = ("probe.tflite", "--target", "linux-x86_64")
    (old,) = bundled(*words, cwd=tmp_path)
    kept = shutil.copy(old, tmp_path / "old.tar.gz")
    words = ("bundle", *words, "--delta-from", kept, "--max-delta")
    assert answer(*words, "20 kB", cwd=tmp_path).returncode == 0
    done = answer(*words, "10 B", cwd=tmp_path)
    assert (done.returncode, "failed: delta size" in done.stderr) == (1, True), done.stderr


def test_every_kind_that_a_target_names_first_can_be_asked_for() -> None:
    kinds = {kind for target in catalog.every() for kind in target.bundles}
    assert set(LAYOUTS) <= kinds
