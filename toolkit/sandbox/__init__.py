"""The sandbox of a process that opens a user's model: what it may reach, by Landlock."""

from edgekit.sandbox.host import environment
from edgekit.sandbox.sandbox import EVERYWHERE, Sandbox
from edgekit.sandbox.state import State, state

__all__ = ["EVERYWHERE", "Sandbox", "State", "environment", "state"]
