"""``edgekit.toml``: its tables, their units, and the devices that it and the user have named."""

from edgekit.project.file import FILE, Project, explain
from edgekit.project.ratchet import LockTable, WaiverTable
from edgekit.project.tables import (
    Budgets,
    ConvertTable,
    DataTable,
    EvaluateTable,
    Goal,
    LatencyGoal,
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
    parse_size,
    parse_unit,
)

__all__ = [
    "FILE",
    "TIMES",
    "WRITTEN",
    "Budgets",
    "ConvertTable",
    "DataTable",
    "EvaluateTable",
    "Goal",
    "LatencyGoal",
    "LockTable",
    "OutputTable",
    "Project",
    "RepresentativeTable",
    "Share",
    "TargetTable",
    "WaiverTable",
    "explain",
    "parse_drop",
    "parse_number",
    "parse_numbers",
    "parse_size",
    "parse_unit",
]
