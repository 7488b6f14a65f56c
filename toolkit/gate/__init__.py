"""The gate: budgets become checks, checks become a verdict; noise becomes neither red nor green."""

from edgekit.gate.budgets.times import decides_latency, decides_ratio, ratio_limits
from edgekit.gate.decision import decide
from edgekit.gate.limits import check_limits
from edgekit.gate.rules import Limit, Rules
from edgekit.gate.shipping import may_ship, own_device
from edgekit.gate.undecided import count_inconclusive
from edgekit.gate.verdict import as_evidence, judge_candidates, judge_run
from edgekit.gate.waivers import Waivers

__all__ = [
    "Limit",
    "Rules",
    "Waivers",
    "as_evidence",
    "check_limits",
    "count_inconclusive",
    "decide",
    "decides_latency",
    "decides_ratio",
    "judge_candidates",
    "judge_run",
    "may_ship",
    "own_device",
    "ratio_limits",
]
