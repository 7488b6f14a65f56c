"""``edgekit.toml``: its tables, their units, and the devices that it and the user have named."""

from edgekit.project.budgets import (
    Budgets,
    CandidateTable,
    Goal,
    LatencyGoal,
    OperatorsGoal,
    ParityGoal,
)
from edgekit.project.file import FILE, Project, explain
from edgekit.project.ratchet import LockTable, WaiverTable
from edgekit.project.tables import (
    ConvertTable,
    DataTable,
    EvaluateTable,
    OutputTable,
    RepresentativeTable,
    TargetTable,
)
from edgekit.project.units import (
    TIMES,
    WRITTEN,
    Share,
    parse_drop,
    parse_number,
    parse_numbers,
)

__all__ = [
    "FILE",
    "TIMES",
    "WRITTEN",
    "Budgets",
    "CandidateTable",
    "ConvertTable",
    "DataTable",
    "EvaluateTable",
    "Goal",
    "LatencyGoal",
    "LockTable",
    "OperatorsGoal",
    "OutputTable",
    "ParityGoal",
    "Project",
    "RepresentativeTable",
    "Share",
    "TargetTable",
    "WaiverTable",
    "explain",
    "parse_drop",
    "parse_number",
    "parse_numbers",
]
