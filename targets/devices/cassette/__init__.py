"""Cassettes: all that was asked of devices and what they answered, in one file."""

from edgekit.targets.devices.cassette.opened import tape_of
from edgekit.targets.devices.cassette.tape import Tape

__all__ = ["Tape", "tape_of"]
