"""Microcontrollers on a serial port: the host's end of ``docs/devices/serial.md``."""
