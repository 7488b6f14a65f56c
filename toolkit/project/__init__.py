"""``edgekit.toml``: its tables, their units, and the devices that it and the user have named."""

from edgekit.project.file import FILE, Project, explain
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
    "OutputTable",
    "Project",
    "RepresentativeTable",
    "Share",
    "TargetTable",
    "explain",
    "parse_drop",
    "parse_number",
    "parse_numbers",
    "parse_size",
    "parse_unit",
]
