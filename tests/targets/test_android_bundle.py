"""The Android bundle: its Kotlin compiled, its self-test on a JVM, its manifests read by aapt."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from edgekit.contracts.target import doubler
from edgekit.errors import BundleError
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, Answers, Contents, pack, verify
from edgekit.types import RuntimeNeed

STUBS = Path(__file__).with_name("android_stubs")
STANDARD_LIBRARY = Path("/usr/share/java/kotlin-stdlib.jar")
compiles = pytest.mark.skipif(
    shutil.which("kotlinc") is None
    or shutil.which("java") is None
    or not STANDARD_LIBRARY.exists(),
    reason="kotlin or openjdk-17-jdk-headless is not installed",
)
TARGET = catalog.load("android-arm64")


def labelled(folder: Path) -> Contents:
    contents = doubler(folder, ("a", "b", "c", "d"))
    answers = Answers("y", ("d", "d", "d"))
    return dataclasses.replace(
        contents, golden=dataclasses.replace(contents.golden, answers=answers)
    )


def unpacked(contents: Contents, folder: Path) -> Path:
    packed = pack(TARGET, contents, folder / "bundle.tar.gz")
    with tarfile.open(packed.path) as archive:
        archive.extractall(folder)  # noqa: S202  (our own)
    return folder / f"{contents.name}-{contents.version}-android-arm64"


def test_bundle_has_the_model_once_as_an_ai_pack_with_its_fallback_group(tmp_path: Path) -> None:
    root = unpacked(labelled(tmp_path), tmp_path)
    (model,) = root.rglob("*.tflite")
    below = "model_pack/src/main/assets/model#group_other/model.tflite"
    assert model.relative_to(root).as_posix() == below
    assert json.loads((root / "manifest.json").read_text())["model"]["file"] == below
    gradle = (root / "model" / "build.gradle.kts").read_text()
    assert 'namespace = "com.example.doubler"' in gradle
    assert "com.google.ai.edge.litert:litert:1.4.0" in gradle
    assert 'noCompress += "tflite"' in gradle
    for source in root.rglob("kotlin/**/*.kt"):
        assert source.read_text().count("package com.example.doubler\n") == 1, source
    android = [p.name for p in root.rglob("main/**/*.kt") if "android." in p.read_text()]
    assert android == ["InterpreterNetwork.kt"]
    assert verify(tmp_path / "bundle.tar.gz").files


def test_model_that_the_interpreter_for_android_does_not_run_has_no_bundle(tmp_path: Path) -> None:
    contents = doubler(tmp_path)
    old = dataclasses.replace(contents, minimum_runtime=RuntimeNeed("2.14.0", "1.0.1", "ADD", ""))
    assert LAYOUTS["android"].files(TARGET, old)
    new = dataclasses.replace(contents, minimum_runtime=RuntimeNeed("", "2.1.0", "CAST 8", ""))
    with pytest.raises(BundleError) as caught:
        LAYOUTS["android"].files(TARGET, new)
    assert caught.value.code == "EK-BUNDLE-023"
    assert "CAST 8 needs 2.1.0" in caught.value.hint


@pytest.mark.slow
@compiles
def test_kotlin_compiles_and_its_selftest_goes_red_for_another_output_or_label(
    tmp_path: Path,
) -> None:
    root = unpacked(labelled(tmp_path), tmp_path)
    sources = [*root.rglob("*.kt"), *STUBS.glob("*.kt")]
    done = subprocess.run(
        ["kotlinc", *map(str, sources), "-d", str(tmp_path / "app.jar")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    def run(factor: float) -> list[str]:
        jars = f"{tmp_path / 'app.jar'}:{STANDARD_LIBRARY}"
        command = ["java", "-cp", jars, "com.example.doubler.DriverKt", str(factor)]
        return subprocess.run(
            [*command, str(root / "golden")], capture_output=True, text=True, check=True
        ).stdout.splitlines()

    passed = run(2.0)
    assert passed[0] == "self-test passed on a multiplier, 3 golden items"
    # Softmax of (0.5 x + 1) * 2 for x = 4, 3, 2, 1.
    assert passed[1].startswith("[Answer(label=a, score=0.64391")
    assert "Answer(label=b, score=0.2368" in passed[1]
    assert passed[2] == "input x takes 4 values, not 1"
    failed = run(2.5)
    assert failed[0].startswith("self-test FAILED")
    assert failed[1].startswith("output y differs by 3.25, tolerance")
    outputs = np.load(root / "golden" / "output_0.npy")
    outputs[0, 0] = np.nan
    np.save(root / "golden" / "output_0.npy", outputs)
    assert run(2.0)[1].startswith("output y differs by Infinity")
    outputs[0] = [9, 0, 0, 0]
    np.save(root / "golden" / "output_0.npy", outputs)
    assert run(2.0)[2] == "golden item 0 is d, and would be called a"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("aapt") is None, reason="aapt is not installed")
def test_manifest_is_one_that_aapt_takes(tmp_path: Path) -> None:
    root = unpacked(doubler(tmp_path), tmp_path)
    manifest = root / "model" / "src" / "main" / "AndroidManifest.xml"
    # The plugin writes the namespace of build.gradle.kts into it.
    named = manifest.read_text().replace("<manifest ", '<manifest package="com.example.doubler" ')
    manifest.write_text(named)
    command = ["aapt", "package", "-f", "-M", str(manifest), "-F", str(tmp_path / "app.apk")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    manifest.write_text(named.replace("/>", ">"))
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
