"""The bundle for microcontrollers: C and C++ for TensorFlow Lite for Microcontrollers (TFLM).

One folder is an Arduino library, an ESP-IDF component, a Zephyr module and a CMake project.
"""

from edgekit.targets.bundles.microcontroller.layout import files

__all__ = ["files"]
