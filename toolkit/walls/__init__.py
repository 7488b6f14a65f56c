"""What a process that opens a user's model may reach: Landlock's walls around it."""

from edgekit.walls.host import environment
from edgekit.walls.state import State, state
from edgekit.walls.walls import EVERYWHERE, Walls

__all__ = ["EVERYWHERE", "State", "Walls", "environment", "state"]
