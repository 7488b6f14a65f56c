"""The Linux bundle in C: configured, compiled and run as its README says."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edgekit.contracts.target import doubler
from edgekit.errors import BundleError
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, Answers, Contents, Golden, pack
from edgekit.types import CarriedState, Preprocess, TensorSpec

TARGET = dataclasses.replace(catalog.load("linux-x86_64"), bundles=("linux-c",))
# A QEMU that shows the host's own processor crashes LiteRT; of all its extensions, it errs.
CORE = """processor\t: {number}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd08

"""


def run(
    *command: object, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def unpacked(contents: Contents, folder: Path) -> Path:
    packed = pack(TARGET, contents, folder / "bundle.tar.gz")
    with tarfile.open(packed.path) as archive:
        archive.extractall(folder)  # noqa: S202  (our own)
    return folder / f"{contents.name}-{contents.version}-linux-x86_64"


def quantized(digits_run: Path) -> Contents:
    """The example's int8 file with the outputs that its bundle's file must give."""
    (bundle,) = (digits_run / "project" / "dist").glob("*.tar.gz")
    with tarfile.open(bundle) as archive:
        files = {
            member.name.partition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
        }
        manifest = json.loads(files["manifest.json"])
        golden = manifest["golden"]
        arrays = {
            name: np.load(io.BytesIO(files[name]))
            for name in (
                *golden["inputs"].values(),
                *(o["file"] for o in golden["outputs"].values()),
            )
        }
    (name, file), (output, told) = *golden["inputs"].items(), *golden["outputs"].items()
    (model,) = (digits_run / "project" / "build").glob("*/int8/model.tflite")
    return Contents(
        name="digits",
        version="1",
        model=model,
        precision="int8",
        inputs=(TensorSpec(name, (1, *manifest["model"]["inputs"][name]["shape"][1:]), "float32"),),
        outputs=(TensorSpec(output, (1, 10), "float32"),),
        preprocess=Preprocess(**manifest["preprocess"]),
        labels=tuple(manifest["labels"]),
        golden=Golden(
            {name: arrays[file]},
            {output: arrays[told["file"]]},
            {output: 0.1},
            Answers(output, tuple(golden["answers"]["labels"])),
        ),
        measurements={},
        tools={},
    )


def built(root: Path, *options: str) -> Path:
    for command in (("-B", "build", *options), ("--build", "build")):
        done = run("cmake", *command, cwd=root)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr + done.stdout
    return root / "build" / "model_app"


@pytest.mark.slow
def test_app_in_c_passes_its_selftest_and_goes_red_for_another_output_or_label(
    digits_run: Path, tmp_path: Path
) -> None:
    needs("cmake", "gcc")
    root = unpacked(quantized(digits_run), tmp_path)
    python = str(Path(sys.executable).parent)
    path = {"PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}
    app = built(root)
    missing = run(app, "selftest", cwd=tmp_path)
    assert missing.returncode == 2
    assert "sh get_runtime.sh puts LiteRT 2.3.0 there" in missing.stderr
    fetched = run("sh", "get_runtime.sh", "x86_64", cwd=root, environment=path)
    assert fetched.returncode == 0, fetched.stderr
    passed = run(app, "selftest", cwd=tmp_path)
    assert passed.returncode == 0, passed.stdout
    assert "digits 1 on LiteRT 2.3.0" in passed.stdout
    assert "self-test passed on 10 golden items" in passed.stdout
    classified = run(app, "classify", root / "golden" / "input_0.npy", "1", cwd=tmp_path)
    best = np.load(root / "golden" / "output_0.npy").argmax(axis=1)
    lines = [line for line in classified.stdout.splitlines() if line.startswith("item")]
    assert [line.split()[2] for line in lines] == [str(k) for k in best]
    assert "latency p50" in run(app, "bench", cwd=tmp_path).stdout

    config = root / "src" / "app_config.h"
    config.write_text(config.read_text().replace('  "3",', '  "4",', 1))
    relabelled = run(built(root), "selftest", cwd=tmp_path)
    assert (relabelled.returncode, relabelled.stdout.count("would be called")) == (1, 1)
    outputs = np.load(root / "golden" / "output_0.npy")
    outputs[-1, 0] += 0.5
    np.save(root / "golden" / "output_0.npy", outputs)
    changed = run(app, "selftest", cwd=tmp_path)
    assert changed.returncode == 1
    assert "FAILED on 10 golden items" in changed.stdout


@pytest.mark.slow
def test_app_cross_compiled_for_arm_passes_its_selftest_there(
    digits_run: Path, tmp_path: Path
) -> None:
    needs("cmake", "aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc", "qemu-aarch64-static")
    for machine in ("aarch64-linux-gnu", "arm-linux-gnueabihf"):
        if not Path(f"/usr/{machine}/lib/crti.o").exists():
            pytest.skip(f"the C library for {machine} is not installed")
    root = unpacked(quantized(digits_run), tmp_path)
    python = str(Path(sys.executable).parent)
    path = {"PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}
    for machine in ("armv7l", "aarch64"):
        done = run("sh", "get_runtime.sh", machine, cwd=root, environment=path)
        if machine == "armv7l":
            assert done.returncode == 2
            assert "LiteRT has no wheel for armv7l" in done.stderr
    assert done.returncode == 0, done.stderr
    for toolchain, word in (("armv7", b"\x28\x00"), ("aarch64", b"\xb7\x00")):
        shutil.rmtree(root / "build", ignore_errors=True)
        app = built(root, f"-DCMAKE_TOOLCHAIN_FILE=cmake/{toolchain}.cmake")
        # e_machine of the ELF header. Source: "ELF for the Arm Architecture".
        assert app.read_bytes()[18:20] == word
    below = tmp_path / "root"
    (below / "proc").mkdir(parents=True)
    cores = "".join(CORE.format(number=number) for number in range(os.cpu_count() or 1))
    (below / "proc" / "cpuinfo").write_text(cores)
    (below / "lib").symlink_to("/usr/aarch64-linux-gnu/lib")
    emulated = ("qemu-aarch64-static", "-cpu", "cortex-a72", "-L", below, app)
    passed = run(*emulated, "selftest", cwd=tmp_path)
    assert "self-test passed on 10 golden items" in passed.stdout, passed.stderr[-2000:]


def test_bundle_in_c_is_refused_for_what_its_app_does_not_feed(tmp_path: Path) -> None:
    contents = doubler(tmp_path)
    files = LAYOUTS["linux-c"].files(TARGET, contents)
    assert b"EK_FLOAT32" in files["src/doubler_spec.h"]
    assert b"ai-edge-litert==2.3.0" in files["get_runtime.sh"]
    state = TensorSpec("s", (1, 2), "float32")
    for changes, reason in (
        ({"states": (CarriedState(state, state, "by name"),)}, "keeps a state"),
        ({"signature": "second"}, "signature 'second' of several"),
        ({"inputs": (TensorSpec("words", (1,), "string"),)}, "'words' takes texts"),
    ):
        with pytest.raises(BundleError, match=reason) as caught:
            LAYOUTS["linux-c"].files(TARGET, dataclasses.replace(contents, **changes))  # type: ignore[arg-type]
        assert caught.value.code == "EK-BUNDLE-022"
    other = dataclasses.replace(TARGET, runtimes=TARGET.runtimes[1:])
    with pytest.raises(BundleError, match="none has a C library") as caught:
        LAYOUTS["linux-c"].files(other, contents)
    assert caught.value.code == "EK-BUNDLE-021"
