"""The iOS bundle: no Swift compiler runs here, so a real grammar reads every file."""

from __future__ import annotations

import dataclasses
import re
import tarfile
from pathlib import Path

import pytest
from test_processing_swift import errors
from tflite_files import leaking

from edgekit.contracts.target import doubler
from edgekit.errors import BundleError
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, Answers, Contents, Golden, pack, verify
from edgekit.targets.bundles import ios as layout
from edgekit.types import CarriedState, TensorSpec

TARGET = catalog.load("ios-arm64")


def labelled(folder: Path) -> Contents:
    contents = doubler(folder, ("a", "b", "c", "d"))
    golden = dataclasses.replace(contents.golden, answers=Answers("y", ("d", "d", "d")))
    return dataclasses.replace(contents, golden=golden)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    packed = pack(TARGET, labelled(tmp_path), tmp_path / "bundle.tar.gz")
    with tarfile.open(packed.path) as archive:
        archive.extractall(tmp_path)  # noqa: S202  (our own)
    return tmp_path / "doubler-1.2.3-ios-arm64"


def test_every_swift_file_is_read_without_an_error(root: Path) -> None:
    sources = sorted(root.rglob("*.swift"))
    assert {source.name for source in sources} >= {"Model.swift", "Package.swift", "Values.swift"}
    assert {source.name: errors(source.read_bytes()) for source in sources} == {
        source.name: [] for source in sources
    }
    text = (root / "Sources" / "SelfTest.swift").read_text()
    assert errors(
        text.replace("guard seen.count == must.count else", "guard seen.count ==").encode()
    )


def test_package_and_pod_name_the_same_files_as_the_bundle_has(root: Path, tmp_path: Path) -> None:
    (model,) = root.rglob("*.tflite")
    assert model.relative_to(root).as_posix() == layout.MODEL
    package = (root / "Package.swift").read_text()
    for named in [*re.findall(r'\.copy\("(.*?)"\)', package), "Sources"]:
        assert (root / named).exists(), named
    pod = (root / "DoublerModel.podspec").read_text()
    for pattern in re.findall(r"'([^']*\*[^']*)'", pod):
        assert list(root.glob(pattern)), pattern
    assert "s.dependency 'TensorFlowLiteSwift', '2.3.0'" in pod
    assert "@testable import DoublerModel" in (root / "Tests" / "SelfTestCase.swift").read_text()
    everything = "".join(p.read_text() for p in root.rglob("*.swift")) + pod
    assert not re.search(r"@(MODULE|VERSION|LICENCE|AUTHOR|RELEASE)@", everything)
    assert verify(tmp_path / "bundle.tar.gz").files


def test_inputs_and_outputs_have_their_place_in_the_graph(tmp_path: Path) -> None:
    model = tmp_path / "leaking.tflite"
    model.write_bytes(leaking())
    x, state, y, after = (
        TensorSpec(name, (1, 2), "float32") for name in ("x", "state_in", "y", "state_out")
    )
    contents = dataclasses.replace(
        doubler(tmp_path), model=model, inputs=(x, state), outputs=(y, after), labels=()
    )
    items = dict.fromkeys(("x", "state_in"), contents.golden.inputs["x"][:, :2])
    outputs = dict.fromkeys(("y", "state_out"), items["x"])
    golden = Golden(items, outputs, dict.fromkeys(outputs, 1e-6))
    contents = dataclasses.replace(contents, golden=golden)
    pairs = LAYOUTS["ios"].files(TARGET, contents)["Sources/GoldenPairs.swift"].decode()
    file = layout.flatbuffer.read(model)
    order = [tensor.index for tensor in file.outputs]
    for name in ("y", "state_out"):
        place = order.index(file.outputs_of(None)[name].index)
        assert f'"{name}": {place}' in pairs.split("outputPlaces")[1]
    stateful = dataclasses.replace(contents, states=(CarriedState(state, after, "by name"),))
    with pytest.raises(BundleError) as caught:
        LAYOUTS["ios"].files(TARGET, stateful)
    assert caught.value.code == "EK-BUNDLE-024"
