"""The form of what devices and runners answer: checked as they run, and as a cassette is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgekit.types import Json

# What machines and runners give as a number, by its name or the end of it.
NUMBERS = frozenset(
    "activation_bytes at batch block busy cores cpus items load1 own processes schema seconds"
    " stolen threads".split()
)
UNITS = ("_ns", "_bytes", "_hz", "_c", "_mhz", "_percent", "_seconds")
TABLES = frozenset({"device", "differences", "memory", "models", "unavailable"})
# Modes of a request that answer for every model, and what they say of each.
ALL_ANSWERED = ("evaluate", "memory", "selftest")
EVALUATED = ("batch", "processes", "items", "seconds")
LOADED = ("load_ns", "first_ns")
# What is read or counted at a look at a machine: one number each, where others may be a list.
READINGS = frozenset("at busy frequency_hz load1 own stolen temperature_c throttled".split())


def check_result(result: Json, mode: str, ids: Collection[str]) -> None:
    """Raise ValueError where a result does not answer a request of this mode and models."""
    if not isinstance(result, Mapping):
        raise ValueError("result is not a table")
    check_values(result, "result")
    for name in ("runtime", "version"):
        if not isinstance(result.get(name), str):
            raise ValueError(f"result.{name} is not text")
    models = result.get("models")
    if not isinstance(models, Mapping):
        raise ValueError("result.models is not a table")
    for name, told in models.items():
        if not isinstance(told, Mapping):
            raise ValueError(f"result.models.{str(name)[:40]} is not a table")
        if mode == "memory":
            _check_numbers(told, ("activation_bytes",), f"result.models.{name[:40]}")
        if mode == "evaluate":
            _check_numbers(told, EVALUATED, f"result.models.{name[:40]}")
            if not {"peak_bytes", "baseline_bytes"} <= told.get("memory", {}).keys():
                raise ValueError(f"result.models.{name[:40]}.memory is not whole")
    if mode in ALL_ANSWERED and set(ids) != models.keys():
        raise ValueError("it answers for other models than it was asked")


def check_loaded(result: Mapping[str, Json], ids: Collection[str]) -> None:
    """Raise ValueError where a session is ready without having loaded and run every model."""
    for name in ids:
        _check_numbers(result["models"].get(name, {}), LOADED, f"result.models.{name[:40]}")


def check_state(state: Mapping[str, Json]) -> None:
    """Raise ValueError where what changes on a machine is not whole: what it does not tell is left
    out.
    """
    check_values(state, "state")
    missing = [name for name in ("unavailable",) if name not in state]
    if "busy" in state or "stolen" in state:
        missing += [name for name in ("at", "own") if name not in state]
    missing += [name for name, value in state.items() if value is None]
    for name in READINGS & state.keys():
        if not isinstance(state[name], (int, float)):
            raise ValueError(f"state.{name} is not a number")
    if missing:
        raise ValueError(f"it does not say {missing[0][:40]!r}")


def check_values(answer: Mapping[str, Json], where: str = "facts") -> None:
    """Raise ValueError for a value that is not a number or table as it should be, however deep."""
    for name, value in answer.items():
        place = f"{where}.{str(name)[:40]}"
        number = name in NUMBERS or str(name).endswith(UNITS)
        if where.endswith(".unavailable"):
            if not isinstance(value, str):
                raise ValueError(f"{place} is no reason")
        elif name in TABLES:
            if not isinstance(value, dict):
                raise ValueError(f"{place} is not a table")
            check_values(value, place)
        elif where.endswith(".memory"):
            if value is not None and not _is_number(value):
                raise ValueError(f"{place} is not a number")
        elif where.endswith(".differences") or number:
            if value is not None and not _all_numbers(value):
                raise ValueError(f"{place} is not a number")
        elif isinstance(value, dict):
            check_values(value, place)


def _check_numbers(told: Mapping[str, Json], names: Collection[str], where: str) -> None:
    for name in names:
        if not _is_number(told.get(name)):
            raise ValueError(f"{where}.{name} is not a number")


def _all_numbers(value: Json) -> bool:
    """Tell whether a value is a number, or lists of them, as the times of blocks are."""
    return all(map(_all_numbers, value)) if isinstance(value, list) else _is_number(value)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
