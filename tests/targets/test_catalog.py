"""The catalog: every entry loads, and keeps the contract for targets."""

from __future__ import annotations

import platform
from typing import Any

import pytest

from edgekit.contracts.target import TargetContract
from edgekit.converters.micro import vela
from edgekit.targets import catalog
from edgekit.targets.catalog import Npu, Target
from edgekit.targets.runners import RUNNER_FILES

ENTRY: dict[str, Any] = {
    "title": "A board",
    "system": "Linux",
    "machine": "riscv64",
    "bundle": "linux-python",
    "runtimes": [{"name": "litert", "package": "ai-edge-litert", "version": "2.3.0"}],
}


@pytest.mark.parametrize("target_id", catalog.names())
class TestCatalog(TargetContract):
    """Every target of the catalog."""

    @pytest.fixture
    def target(self, target_id: str) -> Target:
        return catalog.load(target_id)


def test_names_are_the_targets_of_this_version() -> None:
    assert catalog.names() == (
        "coral-edge-tpu",
        "cortex-m4",
        "cortex-m55-ethos-u55-128",
        "cortex-m55-ethos-u55-256",
        "cortex-m85-ethos-u85-256",
        "ethos-u65-256",
        "linux-aarch64",
        "linux-x86_64",
        "raspberry-pi-4",
    )


@pytest.mark.parametrize("name", ["", "raspberry-pi", "../catalog/linux-x86_64", "LINUX-X86_64"])
def test_load_raises_when_there_is_no_such_target(name: str) -> None:
    with pytest.raises(KeyError):
        catalog.load(name)


@pytest.mark.parametrize("name", catalog.names())
def test_every_runtime_has_a_runner(name: str) -> None:
    assert {runtime.name for runtime in catalog.load(name).runtimes} <= set(RUNNER_FILES)


@pytest.mark.parametrize("name", catalog.names())
def test_ethos_u_target_names_a_configuration_of_its_family(name: str) -> None:
    npu = catalog.load(name).npu
    if npu is None or npu.compiler != "ethos-u-vela":
        pytest.skip("vela does not compile for this target")
    assert npu.accelerator in vela.ACCELERATORS
    family = npu.accelerator.split("-")[1].title()
    assert npu.system_config.startswith(f"Ethos_{family}_")
    assert npu.memory_mode


def test_parse_takes_an_npu_with_the_compilers_defaults() -> None:
    npu = {"compiler": "ethos-u-vela", "accelerator": "ethos-u55-64"}
    assert catalog.parse("board", {**ENTRY, "npu": npu}).npu == Npu("ethos-u-vela", "ethos-u55-64")
    assert catalog.parse("board", ENTRY).npu is None


@pytest.mark.parametrize("name", catalog.names())
def test_tflite_runtime_is_never_installed_with_numpy_2(name: str) -> None:
    for runtime in catalog.load(name).runtimes:
        if runtime.package == "tflite-runtime":
            assert "numpy<2" in runtime.requires


def test_parse_takes_an_entry_without_notes() -> None:
    target = catalog.parse("board", ENTRY)
    assert (target.id, target.machine, target.notes) == ("board", "riscv64", ())
    assert (target.runtimes[0].requires, target.runtimes[0].note) == ((), "")


@pytest.mark.parametrize("field", sorted(ENTRY))
def test_parse_raises_when_a_field_is_missing(field: str) -> None:
    with pytest.raises(KeyError, match=field):
        catalog.parse("board", {name: value for name, value in ENTRY.items() if name != field})


@pytest.mark.parametrize("field", ["name", "package", "version"])
def test_parse_raises_when_a_runtime_lacks_a_field(field: str) -> None:
    (row,) = ENTRY["runtimes"]
    lacking = {name: value for name, value in row.items() if name != field}
    with pytest.raises(KeyError, match=field):
        catalog.parse("board", {**ENTRY, "runtimes": [lacking]})


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "aarch64", "linux-aarch64"),
        ("Linux", "riscv64", None),
        ("Darwin", "arm64", None),
    ],
)
def test_host_is_the_target_that_this_machine_is(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, expected: str | None
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert catalog.host() == expected
