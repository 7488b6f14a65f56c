"""The iOS bundle: no Swift compiler runs here, so a real grammar reads every file."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import app_models
import pytest
from test_processing_swift import errors

from edgekit.contracts.target import doubler
from edgekit.errors import BundleDoesNotSuit
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS, Answers, Contents, pack, verify
from edgekit.targets.bundles import ios as layout

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


# The few methods of CocoaPods' DSL that the podspec calls; any other one is an error.
PODS = """
module Pod
  class Spec
    NAMES = %w[name version summary homepage license author source swift_version static_framework
               source_files resource_bundles]
    def initialize; @set = {}; yield self; puts @set.inspect; end
    NAMES.each { |name| define_method("#{name}=") { |*value| @set[name] = value } }
    def ios; Struct.new(:deployment_target).new; end
    def dependency(*named); @set["dependency"] = named; end
    def test_spec(name); yield Struct.new(:source_files).new; end
  end
end
load ARGV[0]
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ruby") is None, reason="ruby is not installed")
def test_podspec_is_ruby_that_names_the_pod(root: Path) -> None:
    pod = root / "DoublerModel.podspec"

    def evaluated() -> subprocess.CompletedProcess[str]:
        command = ["ruby", "-w", "-e", PODS, str(pod)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    seen = evaluated()
    assert (seen.returncode, seen.stderr) == (0, "")
    assert '["TensorFlowLiteSwift", "2.3.0"]' in seen.stdout
    assert '"resource_bundles"=>[{"DoublerModel"=>["Resources/model.tflite"' in seen.stdout
    text = pod.read_text()
    pod.write_text(text.replace("s.static_framework", "s.static_framewerk"))
    assert "static_framewerk" in evaluated().stderr
    pod.write_text(text.replace("s.version = '", "s.version = "))
    assert "syntax error" in evaluated().stderr


def test_states_are_written_and_every_end_has_its_place_in_the_graph(tmp_path: Path) -> None:
    contents = app_models.carrying(tmp_path, quantized=True)
    files = LAYOUTS["ios"].files(TARGET, contents)
    spec = files["Sources/ModelSpec.swift"].decode()
    assert errors(files["Sources/ModelSpec.swift"]) == []
    assert 'StateSpec(input: InputSpec(name: "state_in", shape: [1, 2], dtype: .int8' in spec
    pairs = files["Sources/GoldenPairs.swift"].decode()
    assert "streams: Set<Int> = [0, 3]" in pairs
    file = layout.flatbuffer.read(contents.model)
    for ordered, named, place in (
        (file.inputs, file.inputs_of(None), "inputPlaces"),
        (file.outputs, file.outputs_of(None), "outputPlaces"),
    ):
        order = [tensor.index for tensor in ordered]
        listed = pairs.split(place)[1].splitlines()[0]
        assert len(named) == 2
        for name, tensor in named.items():
            assert f'"{name}": {order.index(tensor.index)}' in listed


def test_signature_of_another_graph_than_the_main_one_has_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleDoesNotSuit, match="main graph only") as caught:
        LAYOUTS["ios"].files(TARGET, app_models.second_signature(tmp_path))
    assert caught.value.code == "EK-BUNDLE-024"
    assert "'again' is another graph" in caught.value.hint
