"""The catalog: every entry loads, and keeps the contract for targets."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekit.contracts.target import TargetContract
from edgekit.converters.micro import vela
from edgekit.targets import catalog
from edgekit.targets.catalog import Npu, Target, TargetMemory, listing, parsing
from edgekit.targets.catalog.checks import problems
from edgekit.targets.runners import RUNNER_FILES

SHIPPED = tuple(sorted(catalog.SHIPPED))
# What runs in no process of this host: figures of these are unavailable here, never passed.
ELSEWHERE = {"litert-android", "tensorflow-lite-swift", "litert-web", "tf-serving"}

ENTRY: dict[str, Any] = {
    "title": "A board",
    "system": "Linux",
    "machine": "riscv64",
    "bundle": "linux-python",
    "runtimes": [{"name": "litert", "package": "ai-edge-litert", "version": "2.3.0"}],
}


def kinds_of_target() -> list[tuple[str, str]]:
    """A target, and a kind of bundle of it, for each way in which bundles differ.

    Packing and verifying all takes minutes.
    """
    chosen: dict[object, tuple[str, str]] = {}
    targets = [catalog.load(name) for name in SHIPPED]
    for target in targets:
        runtimes = tuple(runtime.name for runtime in target.runtimes)
        way = (target.bundle, target.npu and target.npu.compiler, runtimes)
        chosen.setdefault(way, (target.id, target.bundle))
    firsts = {kind for _, kind in chosen.values()}
    for target in targets:
        for kind in set(target.bundles) - firsts:
            chosen.setdefault(kind, (target.id, kind))
    return list(chosen.values())


@pytest.mark.parametrize(("target_id", "kind"), kinds_of_target())
class TestCatalog(TargetContract):
    """A target of each kind; the schema holds for all of them."""

    @pytest.fixture
    def target(self, target_id: str, kind: str) -> Target:
        return replace(catalog.load(target_id), bundles=(kind,))


@pytest.mark.parametrize("name", SHIPPED)
def test_list_shows_what_the_whole_file_says(name: str) -> None:
    target = catalog.load(name)
    (row,) = (row for row in catalog.list_all() if row.id == name)
    assert row == (target.id, target.title, target.aliases)


def test_list_reads_a_file_whose_arrays_hold_lines_that_begin_with_a_bracket(
    tmp_path: Path,
) -> None:
    file = tmp_path / "board.toml"
    file.write_text('rows = [\n[1],\n]\ntitle = "A board"\naliases = ["b"]\n[cpu]\nname = "x"\n')
    assert listing.read_listed("board", file) == ("board", "A board", ("b",))


def test_catalog_has_the_platforms_that_people_ship_to() -> None:
    assert {
        *("linux-x86_64", "linux-aarch64", "linux-armv7", "raspberry-pi-3", "raspberry-pi-4"),
        *("raspberry-pi-5", "raspberry-pi-zero-2-w", "jetson-orin-nano", "beaglebone-ai-64"),
        *("coral-dev-board", "coral-usb-accelerator", "android-arm64", "android-arm"),
        *("android-x86_64", "android-arm64-low", "android-arm64-mid", "android-arm64-high"),
        *("ios-arm64", "web-wasm", "arduino-nano-33-ble-sense", "arduino-portenta-h7"),
        *("stm32f746", "stm32h747", "stm32u5", "esp32", "esp32-s3", "raspberry-pi-pico"),
        *("raspberry-pi-pico-2", "nrf52840", "nrf5340", "cortex-m4", "cortex-m55-ethos-u55-128"),
        *("cortex-m55-ethos-u55-256", "cortex-m85-ethos-u85-256", "ethos-u65-256", "tf-serving"),
    } <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_file_is_a_target_and_its_facts_have_sources(name: str) -> None:
    file = catalog.FOLDER / f"{name}.toml"
    assert problems(file) == ()
    target = catalog.load(name)
    facts = {"runtimes"} | {k for k in ("cpu", "npu") if getattr(target, k) is not None}
    facts |= {"memory"} if target.memory != TargetMemory() else set()
    facts |= set() if target.free_sizes else {"free_sizes"}
    assert facts <= set(target.sources)
    assert target.precisions
    assert target.reached


def test_no_name_stands_for_two_targets() -> None:
    aliases = [alias for name in SHIPPED for alias in catalog.load(name).aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(SHIPPED)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("pi4", "raspberry-pi-4"),
        ("nano33ble", "arduino-nano-33-ble-sense"),
        ("android", "android-arm64"),
        ("pico", "raspberry-pi-pico"),
        ("esp32s3", "esp32-s3"),
        ("jetson", "jetson-orin-nano"),
        ("coral-edge-tpu", "coral-dev-board"),
    ],
)
def test_load_takes_the_names_that_people_use(alias: str, name: str) -> None:
    assert catalog.load(alias).id == name


@pytest.mark.parametrize("name", ["", "raspberry-pi", "../catalog/linux-x86_64", "LINUX-X86_64"])
def test_load_raises_when_there_is_no_such_target(name: str) -> None:
    with pytest.raises(KeyError):
        catalog.load(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_runtime_has_a_runner_or_runs_elsewhere_only(name: str) -> None:
    found = {runtime.name for runtime in catalog.load(name).runtimes}
    assert found <= set(RUNNER_FILES) | ELSEWHERE
    assert not ELSEWHERE & set(RUNNER_FILES)


@pytest.mark.parametrize("name", SHIPPED)
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
    assert parsing.parse("board", {**ENTRY, "npu": npu}).npu == Npu("ethos-u-vela", "ethos-u55-64")
    assert parsing.parse("board", ENTRY).npu is None


@pytest.mark.parametrize("name", SHIPPED)
def test_tflite_runtime_is_never_installed_with_numpy_2(name: str) -> None:
    for runtime in catalog.load(name).runtimes:
        if runtime.package == "tflite-runtime":
            assert "numpy<2" in runtime.requires


def test_parse_takes_an_entry_without_notes() -> None:
    target = parsing.parse("board", ENTRY)
    assert (target.id, target.machine, target.notes) == ("board", "riscv64", ())
    assert (target.runtimes[0].requires, target.runtimes[0].note) == ((), "")


@pytest.mark.parametrize("field", sorted(ENTRY))
def test_parse_raises_when_a_field_is_missing(field: str) -> None:
    with pytest.raises(KeyError, match=field):
        parsing.parse("board", {name: value for name, value in ENTRY.items() if name != field})


@pytest.mark.parametrize("field", ["name", "package", "version"])
def test_parse_raises_when_a_runtime_lacks_a_field(field: str) -> None:
    (row,) = ENTRY["runtimes"]
    lacking = {name: value for name, value in row.items() if name != field}
    with pytest.raises(KeyError, match=field):
        parsing.parse("board", {**ENTRY, "runtimes": [lacking]})


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
