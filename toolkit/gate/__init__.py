"""The gate: budgets become checks, checks become a verdict; noise becomes neither red nor green."""

from edgekit.gate.checks import Limit, Rules
from edgekit.gate.verdict import decide, decide_candidates, may_ship, own_device

__all__ = ["Limit", "Rules", "decide", "decide_candidates", "may_ship", "own_device"]
