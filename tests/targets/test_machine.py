"""What a machine tells of itself, read from a planted file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.targets.devices.agent.machine import conditions_now, emulated, host_facts

CPU = "sys/devices/system/cpu"
# A Raspberry Pi 4 with one core switched off, as its files read.
BOARD = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
    "proc/meminfo": "MemTotal:        3884360 kB\nMemFree:  10 kB\n",
    "proc/loadavg": "0.42 0.17 0.06 1/171 1234\n",
    "proc/sys/kernel/osrelease": "6.1.21-v8+\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/type": "charger\n",
    "sys/class/thermal/thermal_zone1/temp": "61000\n",
    **{f"{CPU}/cpu{n}/topology/physical_package_id": "0\n" for n in range(3)},
    **{f"{CPU}/cpu{n}/topology/core_id": f"{n}\n" for n in range(3)},
    **{f"{CPU}/cpu{n}/cpufreq/scaling_governor": "ondemand\n" for n in range(3)},
    **{f"{CPU}/cpu{n}/cpufreq/cpuinfo_min_freq": "600000\n" for n in range(3)},
    **{f"{CPU}/cpu{n}/cpufreq/cpuinfo_max_freq": "1500000\n" for n in range(3)},
    **{f"{CPU}/cpu{n}/cpufreq/scaling_cur_freq": f"{600000 + n * 100000}\n" for n in range(3)},
    f"{CPU}/cpu3/online": "0\n",
    f"{CPU}/cpufreq/policy0/scaling_governor": "ondemand\n",
}


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_host_facts_say_what_a_board_is(tmp_path: Path) -> None:
    facts = dict(host_facts(plant(tmp_path, BOARD)))
    assert facts.pop("system") == os.uname().sysname
    assert facts.pop("machine") == os.uname().machine
    assert facts == {
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "cpu": "CPU implementer 0x41 part 0xd08",
        "cpus": 3,
        "cores": 3,
        "frequency_minimum_hz": 600_000_000,
        "frequency_maximum_hz": 1_500_000_000,
        "governor": "ondemand",
        "memory_bytes": 3884360 * 1024,
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.21-v8+",
        "unavailable": {},
    }


def test_conditions_are_the_processors_temperature_frequency_and_load(tmp_path: Path) -> None:
    assert conditions_now(plant(tmp_path, BOARD)) == {
        "temperature_c": 48.312,
        "frequency_hz": 800_000_000,
        "load1": 0.42,
        "unavailable": {},
    }


def test_conditions_are_of_one_core_when_it_is_named(tmp_path: Path) -> None:
    assert conditions_now(plant(tmp_path, BOARD), core=1)["frequency_hz"] == 700_000_000


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"sys/class/thermal/thermal_zone0/type": "acpitz"}, 61.0),
        ({"sys/class/thermal/thermal_zone0/temp": "off"}, 61.0),
        (
            {
                "sys/class/hwmon/hwmon0/name": "k10temp",
                "sys/class/hwmon/hwmon0/temp1_input": "70500",
            },
            70.5,
        ),
    ],
    ids=["no processor sensor", "sensor off", "hwmon"],
)
def test_temperature_is_the_hottest_of_the_best_sensors(
    tmp_path: Path, changed: dict[str, str], expected: float
) -> None:
    assert conditions_now(plant(tmp_path, {**BOARD, **changed}))["temperature_c"] == expected


def test_what_a_system_does_not_tell_is_absent_with_a_reason(tmp_path: Path) -> None:
    facts, now = host_facts(tmp_path), conditions_now(tmp_path)
    assert set(facts) == {"system", "machine", "unavailable"}
    assert set(facts["unavailable"]) == {
        "model",
        "cpu",
        "cpus",
        "cores",
        "frequency_minimum_hz",
        "frequency_maximum_hz",
        "governor",
        "memory_bytes",
        "os",
        "kernel",
    }
    assert set(now) == {"unavailable"}
    assert set(now["unavailable"]) == {"temperature_c", "frequency_hz", "load1"}
    assert all(reason for reason in [*facts["unavailable"].values(), *now["unavailable"].values()])


def test_governor_names_all_when_cores_differ(tmp_path: Path) -> None:
    changed = {f"{CPU}/cpu2/cpufreq/scaling_governor": "powersave"}
    facts = host_facts(plant(tmp_path, {**BOARD, **changed}))
    assert facts["governor"] == "ondemand, powersave"


ARM_VM = {
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 125.00\n"
    "CPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
    "proc/device-tree/compatible": "linux,dummy-virt\0",
}
X86_VM = {
    "proc/cpuinfo": "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n"
    "flags\t\t: fpu hypervisor\n",
    "sys/class/dmi/id/sys_vendor": "QEMU\n",
}


@pytest.mark.parametrize(
    ("machine", "files", "expected"),
    [
        ("aarch64", BOARD, ""),
        ("aarch64", X86_VM, "qemu-user"),
        ("armv7l", X86_VM, "qemu-user"),
        ("x86_64", BOARD, ""),
        ("x86_64", X86_VM, ""),
        ("i686", X86_VM, ""),
        ("riscv64", BOARD, ""),
        ("aarch64", {}, ""),
        ("aarch64", ARM_VM, "QEMU"),
        ("armv7l", ARM_VM, "QEMU"),
        ("aarch64", {**ARM_VM, "proc/device-tree/compatible": "raspberrypi,4-model-b\0"}, ""),
        ("aarch64", {**ARM_VM, "proc/cpuinfo": "BogoMIPS: 243.75\nCPU implementer: 0x41\n"}, ""),
        ("aarch64", {"proc/cpuinfo": "CPU implementer\t: 0x00\nCPU part\t: 0x051\n"}, "QEMU"),
        ("aarch64", {"proc/cpuinfo": "CPU implementer\t: 0x00\nCPU part\t: 0x000\n"}, ""),
        ("x86_64", {"proc/cpuinfo": "vendor_id: A\nmodel name: QEMU TCG CPU version 2.5+"}, "QEMU"),
        ("x86_64", {"proc/cpuinfo": "vendor_id: A\nmodel name: QEMU Virtual CPU version 2.5+"}, ""),
    ],
    ids=[
        "board",
        "arm64 on x86",
        "armhf on x86",
        "board seen from x86",
        "x86 with KVM",
        "32 bits",
        "another family",
        "nothing told",
        "arm by TCG",
        "armhf by TCG",
        "board with that timer",
        "arm with KVM",
        "TCG's own processor",
        "a virtual processor of another maker",
        "x86 by TCG",
        "x86 with KVM and QEMU's model",
    ],
)
def test_emulator_is_named_only_where_something_proves_it(
    tmp_path: Path, machine: str, files: dict[str, str], expected: str
) -> None:
    assert emulated(plant(tmp_path, files), machine) == expected


@pytest.mark.parametrize(
    ("program", "expected"),
    [("qemu-aarch64-static", "qemu-user"), ("qemu-arm", "qemu-user"), ("python3.11", "")],
)
def test_emulator_is_known_by_what_another_program_sees(
    tmp_path: Path, program: str, expected: str
) -> None:
    link = plant(tmp_path, BOARD) / "proc" / str(os.getpid()) / "exe"
    link.parent.mkdir()
    link.symlink_to(f"/usr/bin/{program}")
    assert emulated(tmp_path, "aarch64") == expected


def test_this_host_and_its_facts_agree_on_emulation() -> None:
    assert host_facts().get("estimates", "") == (f"emulated ({emulated()})" if emulated() else "")


def test_facts_of_this_host_agree_with_python() -> None:
    facts, now = host_facts(), conditions_now()
    assert facts["cpus"] == os.cpu_count()
    assert facts["kernel"] == os.uname().release
    assert facts["memory_bytes"] == pytest.approx(
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), rel=0.01
    )
    assert now["load1"] == pytest.approx(os.getloadavg()[0], abs=1.0)
