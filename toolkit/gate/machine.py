"""Whether the machine that gave a figure is the one that a target stands for."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.targets.catalog import Target
from edgekit.types import Json, OnDevice, Status

# One machine under the names that systems give it.
ALIKE = {"arm64": "aarch64", "amd64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686"}
BARE_METAL = "bare metal"
# Systems that a microcontroller's firmware does not run below.
HOSTED = ("linux", "darwin", "windows", "android")
# What two machines must agree on: elsewhere a ratio of times would compare machines, not models.
FINGERPRINT = ("system", "machine", "model", "cpu", "cpus", "memory_bytes")


def another_machine(target: Target, device: str, facts: Mapping[str, Json]) -> str:
    """Explain why a device is not the target, naming both; empty where it may be.

    Its system and machine must be the catalog's, and its board where both are known.
    """
    if not facts.get("machine"):
        return (
            f"{device} did not say what machine it is, and {target.id} is {describe_target(target)}"
        )
    if _has_system(target, facts) and _has_machine(target, facts) and _has_board(target, facts):
        return ""
    return f"{device} is {describe_device(facts)}, and {target.id} is {describe_target(target)}"


def judge_machine(target: Target, measured: OnDevice, any_device: bool) -> tuple[Status, str]:
    """Tell whether what a device gave is the target's own, and why in words."""
    reason = another_machine(target, measured.device, measured.facts)
    if not reason:
        mark = f"; its times are estimates: {measured.estimates}" if measured.estimates else ""
        return Status.PASSED, f"{measured.device} is {describe_device(measured.facts)}{mark}"
    if any_device:
        return Status.PASSED, f"{reason}: it counts, because any_device = true"
    way = f"any_device = true in [targets.{target.id}] takes its figures all the same"
    return Status.UNAVAILABLE, f"unavailable, because {reason}; {way}"


def own_device_key(target: Target, device: str) -> str:
    """Return the key of the project file that names a target's own device, with a value."""
    scheme = "serial:///dev/…" if target.system == BARE_METAL else "ssh://…"
    return f'device = "{device or scheme}" in [targets.{target.id}]'


def describe_target(target: Target) -> str:
    """Return a target's machine in words: system, machine or processors, and boards."""
    kinds = " or ".join(target.processors) or target.machine
    boards = f" ({' or '.join(target.boards)})" if target.boards else ""
    return f"{target.system} {kinds}{boards}"


def describe_device(facts: Mapping[str, Json]) -> str:
    """Describe a device by its own facts."""
    model = f" ({facts['model']})" if facts.get("model") else ""
    return f"{_system(facts)} {facts['machine']}{model}"


def _system(facts: Mapping[str, Json]) -> str:
    # Android's kernel calls itself Linux.
    return "Android" if facts.get("android") else str(facts.get("system", ""))


def _has_system(target: Target, facts: Mapping[str, Json]) -> bool:
    system = _system(facts).lower()
    return system not in HOSTED if target.system == BARE_METAL else system == target.system.lower()


def _has_machine(target: Target, facts: Mapping[str, Json]) -> bool:
    machine = str(facts["machine"]).lower()
    if target.processors:
        # "cortex-m4f" is a Cortex-M4 with a floating-point unit.
        return any(machine in (processor, f"{processor}f") for processor in target.processors)
    return ALIKE.get(machine, machine) == target.machine


def _has_board(target: Target, facts: Mapping[str, Json]) -> bool:
    model = facts.get("model")
    return not target.boards or not model or str(model).startswith(target.boards)


def fingerprint(facts: Mapping[str, Json]) -> dict[str, Json]:
    """Return, of what a machine says of itself, that by which times of it may be compared."""
    return {name: facts[name] for name in FINGERPRINT if facts.get(name)}


def differences(here: Mapping[str, Json], there: Mapping[str, Json]) -> str:
    """Tell in what one machine differs from another, by what both say; empty for nothing."""
    pairs = [(name, here.get(name), there.get(name)) for name in FINGERPRINT]
    return ", ".join(f"{n} {b}, here {a}" for n, a, b in pairs if a and b and a != b)
