"""What of a device's facts spoils a measurement there, in words."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.types import Json

# Percent of charge from where on Android warns of a low battery (config_lowBatteryWarningLevel).
LOW_BATTERY = 15


def spoilers(facts: Mapping[str, Json], state: Mapping[str, Json] | None = None) -> tuple[str, ...]:
    """Tell why latencies under these facts are not those of the device's users; empty where they
    are.

    ``state`` is the newest there is: what it tells comes before the facts.
    """
    told = {**facts, **(state or {})}
    signs = [
        (
            "powersave" in str(told.get("governor", "")),
            "the governor is powersave: the processor may stay slow",
        ),
        (
            told.get("screen") in ("off", "dozing"),
            f"the screen is {told.get('screen')}: Android keeps background work on slow cores",
        ),
        (bool(told.get("power_save")), "the phone saves power: its processor is held back"),
        (_low(told), f"the battery is at {told.get('battery_percent')} % and not charging"),
        (
            told.get("thermal_status", "none") != "none",
            f"the phone's thermal status is {told.get('thermal_status')}: it may be throttled",
        ),
    ]
    return tuple(text for spoils, text in signs if spoils)


def _low(told: Mapping[str, Json]) -> bool:
    percent, charging = told.get("battery_percent"), told.get("battery_status") == "charging"
    return percent is not None and percent <= LOW_BATTERY and not charging
