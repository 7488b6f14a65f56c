"""What Android's programs print, by release: the form is that of AOSP's sources, values are drawn.

No device was at hand.
"""

from __future__ import annotations

from collections.abc import Mapping

NOUGAT: Mapping[str, str] = {
    "getprop": """[dalvik.vm.heapsize]: [512m]
[ro.board.platform]: [msm8953]
[ro.build.version.release]: [7.1.2]
[ro.build.version.sdk]: [25]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.product.manufacturer]: [Planted]
[ro.product.model]: [Planted Note 4 [x]]
""",
    "battery": """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  status: 3
  health: 2
  present: true
  level: 11
  scale: 100
  voltage: 3655
  temperature: 312
  technology: Li-ion
""",
    "power": """POWER MANAGER (dumpsys power)

Power Manager State:
  mDirty=0x0
  mWakefulness=Asleep
  mWakefulnessChanging=false
  mIsPowered=true
  mLowPowerModeEnabled=false
""",
    "settings": "1\n",
}
TIRAMISU: Mapping[str, str] = {
    "getprop": """[ro.board.platform]: [planted]
[ro.build.version.release]: [13]
[ro.build.version.sdk]: [33]
[ro.hardware]: [planted]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.product.manufacturer]: [Planted]
[ro.product.model]: [Planted 7]
[ro.soc.manufacturer]: [Planted]
[ro.soc.model]: [PS201]
""",
    "battery": """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Dock powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 3512000
  status: 2
  health: 2
  present: true
  level: 83
  scale: 100
  voltage: 4187
  temperature: 289
  technology: Li-ion
""",
    "power": """POWER MANAGER (dumpsys power)

Power Manager State:
  Settings power_manager_constants:
    no_cached_wake_locks=true
  mDirty=0x0
  mWakefulness=Awake
  mWakefulnessChanging=false
  mIsPowered=true
""",
    "thermalservice": """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
\tkilled: false
ThermalStatusListeners:
\tcallbacks: 6
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=41.6, mType=3, mName=VIRTUAL-SKIN, mStatus=2}
HAL Ready: true
""",
    "settings": "0\n",
}
