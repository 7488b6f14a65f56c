"""The Android bundle: its Kotlin compiled, its self-test on a JVM, its manifests read by aapt."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import app_models
import numpy as np
import pytest
import tflite_files

import edgekit.targets.runners
from conftest import once
from edgekit.contracts.target import doubler
from edgekit.converters.metadata import ModelFacts, add_metadata
from edgekit.errors import BundleError
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, Answers, Contents, pack, verify
from edgekit.types import RuntimeNeed

STUBS = Path(__file__).with_name("android_stubs")
STANDARD_LIBRARY = Path("/usr/share/java/kotlin-stdlib.jar")
JDK = Path(shutil.which("java") or "java").resolve().parents[1]
NATIVE = Path(edgekit.targets.runners.__file__ or "").parent / "native"
_litert = importlib.util.find_spec("ai_edge_litert")
LITERT = Path(_litert.origin or "").with_name("libLiteRt.so") if _litert else Path()
compiles = pytest.mark.skipif(
    not all(map(shutil.which, ("kotlinc", "java", "gcc")))
    or not STANDARD_LIBRARY.exists()
    or not (JDK / "include" / "jni.h").exists(),
    reason="kotlin, gcc or openjdk-17-jdk-headless is not installed",
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


def test_readme_says_what_the_task_library_and_mediapipe_make_of_the_file(tmp_path: Path) -> None:
    contents = doubler(tmp_path)

    def readme(model: bytes) -> str:
        contents.model.write_bytes(model)
        return LAYOUTS["android"].files(TARGET, contents)["README.md"].decode()

    bare = contents.model.read_bytes()
    assert "holds no TFLite Metadata" in readme(bare)
    assert "The model holds TFLite Metadata" in readme(add_metadata(bare, ModelFacts("doubler")))
    ends = [tflite_files.T(name, [1, 4], "INT8", scale=[0.5]) for name in ("x", "y")]
    node = tflite_files.N("RELU", ["x"], ["y"], 2)
    integers = tflite_files.build(tflite_files.G(ends, [node], ["x"], ["y"]))
    assert "MediaPipe refuse the file, they take uint8 or float32" in readme(integers)


@dataclass(frozen=True)
class App:
    """The bundles' Kotlin in one jar, a package each, and LiteRT below its interpreter."""

    jar: Path
    network: Path

    def run(self, root: Path, *item: float) -> list[str]:
        """What the driver of a bundle's package prints."""
        settings = {"bundle": root, "network": self.network, "litert": LITERT}
        package = json.loads((root / "manifest.json").read_text())["name"]
        done = subprocess.run(
            [
                *("java", *(f"-Dedgekit.{name}={value}" for name, value in settings.items())),
                *("-cp", f"{self.jar}:{STANDARD_LIBRARY}", f"com.example.{package}.DriverKt"),
                *map(str, item),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-800:]
        return done.stdout.splitlines()


# A model with labels; with a state that an int8 input takes from an output of another scale; with
# a sum in a variable.
MADE = {
    "doubler": labelled,
    "carrying": functools.partial(app_models.carrying, quantized=True),
    "counting": app_models.counting,
}


@pytest.fixture(scope="module")
def app(shared: Path) -> App:
    def make(folder: Path) -> None:
        sources = list(STUBS.glob("[!D]*.kt"))
        for name, contents in MADE.items():
            (folder / name).mkdir()
            root = unpacked(contents(folder / name), folder / name)
            driver = (STUBS / "Driver.kt").read_text()
            (folder / name / "Driver.kt").write_text(driver.replace("doubler", name))
            sources += [folder / name / "Driver.kt", *root.rglob("*.kt")]
        command = ["kotlinc", *map(str, sources), "-d", str(folder / "app.jar")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        parts = [NATIVE / name for name in ("network.c", "npy.c", "litert_api.c")]
        headers = (f"-I{JDK}/include", f"-I{JDK}/include/linux", f"-I{NATIVE}")
        subprocess.run(
            [
                *("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", *headers),
                *map(str, [*parts, STUBS / "interpreter.c"]),
                *("-ldl", "-o", str(folder / "network.so")),
            ],
            check=True,
        )

    folder = once(shared / "android-app", make)
    return App(folder / "app.jar", folder / "network.so")


def root_of(app: App, name: str, folder: Path) -> Path:
    """A bundle of one's own, to plant faults in."""
    root = f"{name}-1.2.3-android-arm64"
    return shutil.copytree(app.jar.parent / name / root, folder / root)


@pytest.mark.slow
@compiles
def test_instrumented_selftest_runs_the_model_and_goes_red_for_another_output_or_label(
    app: App, tmp_path: Path
) -> None:
    root = root_of(app, "doubler", tmp_path)
    passed = app.run(root, 4, 3, 2, 1)
    assert passed[0] == "the instrumented test passes"
    assert passed[1] == "self-test passed on LiteRT 1.4.0, 3 golden items"
    # Softmax of (0.5 x + 1) * 2 for x = 4, 3, 2, 1.
    assert passed[2].startswith("[Answer(label=a, score=0.64391")
    assert "Answer(label=b, score=0.2368" in passed[2]
    assert passed[3] == "input x takes 4 values, not 3"
    outputs = np.load(root / "golden" / "output_0.npy")
    np.save(root / "golden" / "output_0.npy", outputs + np.float32(0.5))
    failed = app.run(root, 4, 3, 2, 1)
    assert failed[0] == "the instrumented test fails"
    assert failed[1].startswith("self-test FAILED")
    assert failed[2].startswith("output y differs by 0.5, tolerance")
    outputs[0, 0] = np.nan
    np.save(root / "golden" / "output_0.npy", outputs)
    assert app.run(root, 4, 3, 2, 1)[2].startswith("output y differs by Infinity")
    outputs[0] = [9, 0, 0, 0]
    np.save(root / "golden" / "output_0.npy", outputs)
    assert app.run(root, 4, 3, 2, 1)[3] == "golden item 0 is d, and would be called a"


@pytest.mark.slow
@compiles
@pytest.mark.parametrize(("name", "size"), [("carrying", 2), ("counting", 1)])
def test_state_is_carried_on_and_begins_anew_with_each_stream(
    app: App, tmp_path: Path, name: str, size: int
) -> None:
    root = root_of(app, name, tmp_path)
    assert app.run(root, *[1.0] * size)[0] == "the instrumented test passes"
    # A last item that begins no stream answers otherwise.
    items = np.load(root / "golden" / "input_0.npy")
    outputs = np.load(root / "golden" / "output_0.npy")
    np.save(root / "golden" / "input_0.npy", items[[0, 1, 1, 0][: len(items)]])
    np.save(root / "golden" / "output_0.npy", outputs[[0, 1, 1, 0][: len(items)]])
    assert app.run(root, *[1.0] * size)[0] == "the instrumented test fails"


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
