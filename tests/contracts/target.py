"""What every target keeps to: a catalog entry whose bundle packs, verifies and can be installed."""

from __future__ import annotations

import base64
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from edgekit.targets.bundles import LAYOUTS, Contents, Golden, pack, unpackable, verify
from edgekit.targets.catalog import Target, load
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Preprocess, TensorSpec

# An underscore only as in a machine's own name, x86_64.
KEBAB = re.compile(r"[a-z0-9_]+(-[a-z0-9_]+)*")
SOURCES = frozenset({".py", ".cc", ".cpp", ".c", ".kt", ".swift", ".ts", ".js"})
# The doubler as a SavedModel of one signature, "serving_default": its graph, and nothing else.
SAVED_DOUBLER = base64.b64decode(
    "CAESwAEKByIFc2VydmUSVAoyCgF4EgtQbGFjZWhvbGRlcioLCgVkdHlwZRICMAEqEwoFc2hhcGUSCjoIEgIIARICCAQK"
    "GQoBeRIFQWRkVjIaAXgaAXgqBwoBVBICMAEiAwiqEypfCg9zZXJ2aW5nX2RlZmF1bHQSTAoWCgF4EhEKA3g6MBABGggS"
    "AggBEgIIBBIWCgF5EhEKA3k6MBABGggSAggBEgIIBBoadGVuc29yZmxvdy9zZXJ2aW5nL3ByZWRpY3Q="
)


def doubler(folder: Path, labels: tuple[str, ...] = ()) -> Contents:
    """Contents around a model that takes ``x``, float32 ``[1, 4]``, and gives ``y = x + x``."""
    model = folder / "doubler.tflite"
    model.write_bytes(probe_model())
    saved = folder / "doubler_saved_model"
    saved.mkdir(exist_ok=True)
    (saved / "saved_model.pb").write_bytes(SAVED_DOUBLER)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Contents(
        name="doubler",
        version="1.2.3",
        model=model,
        precision="float32",
        inputs=(TensorSpec("x", (None, 4), "float32"),),
        outputs=(TensorSpec("y", (1, 4), "float32"),),
        preprocess=Preprocess(0.5, 1.0),
        labels=labels,
        golden=Golden({"x": x}, {"y": x + 2}, {"y": 1e-6}),
        measurements={},
        tools={},
        saved_model=saved,
    )


class TargetContract:
    """Subclass it with ``target_id``, or override ``target`` for one outside edgekit's catalog."""

    target_id: str

    @pytest.fixture
    def target(self) -> Target:
        return load(self.target_id)

    @pytest.fixture
    def packable(self, target: Target) -> Target:
        """The target, where edgekit or a plug-in makes bundles of its kind."""
        if reason := unpackable(target):
            pytest.skip(reason)
        return target

    def test_entry_says_what_the_target_is(self, target: Target) -> None:
        assert KEBAB.fullmatch(target.id)
        assert target.title
        assert target.system
        assert target.machine

    def test_entry_names_runtimes_with_a_pinned_package(self, target: Target) -> None:
        assert target.runtimes
        assert len({runtime.name for runtime in target.runtimes}) == len(target.runtimes)
        for runtime in target.runtimes:
            assert KEBAB.fullmatch(runtime.name)
            assert runtime.package
            assert re.fullmatch(r"\d+(\.\w+)+", runtime.version)

    def test_entry_names_an_npu_with_its_compiler(self, target: Target) -> None:
        if target.npu is None:
            pytest.skip("this target has no NPU")
        assert target.npu.compiler
        assert KEBAB.fullmatch(target.npu.accelerator)

    def test_layout_gives_a_program_and_pinned_requirements(
        self, packable: Target, tmp_path: Path
    ) -> None:
        files = dict(LAYOUTS[packable.bundle].files(packable, doubler(tmp_path)))
        text = "\n".join(content.decode(errors="replace") for content in files.values())
        # An app to start, source that an application compiles in, or how a server is started.
        assert any(
            Path(name).suffix in SOURCES or Path(name).name == "Dockerfile" for name in files
        )
        assert any(runtime.package in text for runtime in packable.runtimes)
        # An app without Python takes from a wheel what it needs, or nothing of it.
        python = "requirements.txt" in files
        for runtime in (one for one in packable.runtimes if python or one.manager != "pip"):
            assert runtime.package in text
            # Of a range the layout takes the first release that runs the model.
            assert runtime.manager != "pip" or runtime.version in text
            assert all(requirement in text for requirement in runtime.requires)
        assert not any(name.startswith(("/", "golden/")) or ".." in name for name in files)
        assert not {"manifest.json", "model.tflite", "model_npu.tflite", "labels.txt"} & set(files)

    def test_bundle_has_the_same_bytes_when_packed_twice(
        self, packable: Target, tmp_path: Path
    ) -> None:
        contents = doubler(tmp_path)
        first = pack(packable, contents, tmp_path / "first.tar.gz")
        second = pack(packable, contents, tmp_path / "second.tar.gz")
        assert first.path.read_bytes() == second.path.read_bytes()
        assert first.sha256 == second.sha256

    def test_bundle_holds_one_folder_of_regular_files(
        self, packable: Target, tmp_path: Path
    ) -> None:
        bundle = pack(packable, doubler(tmp_path), tmp_path / "bundle.tar.gz")
        with tarfile.open(bundle.path) as archive:
            members = archive.getmembers()
        assert all(member.isreg() for member in members)
        assert {Path(m.name).parts[0] for m in members} == {f"doubler-1.2.3-{packable.id}"}

    def test_bundle_verifies(self, packable: Target, tmp_path: Path) -> None:
        bundle = pack(packable, doubler(tmp_path, ("a", "b", "c", "d")), tmp_path / "bundle.tar.gz")
        found = verify(bundle.path)
        assert found.manifest["target"] == packable.id
        # Beside runtimes that are on no host, LiteRT is tried.
        assert {runtime.name for runtime in packable.runtimes} <= set(found.selftests)
        assert all(text.startswith(("passed", "unavailable")) for text in found.selftests.values())
