"""The sandbox of a process that opens a user's model: what it may reach, by Landlock."""

from edgekit.walls.host import environment
from edgekit.walls.state import State, state
from edgekit.walls.walls import EVERYWHERE, Walls

__all__ = ["EVERYWHERE", "State", "Walls", "environment", "state"]
