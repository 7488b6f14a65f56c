"""What changed from one run to another: figures with their proof, contents of files, settings."""

from edgekit.report.changes.contents import (
    LayerDelta,
    LayerDeltas,
    OperatorChange,
    layer_deltas,
    operator_changes,
)
from edgekit.report.changes.figures import FigureChange, Outcome
from edgekit.report.changes.runs import CandidateChange, RunChange, TargetChange, changes
from edgekit.report.changes.settings import SettingChange, flat

__all__ = [
    "CandidateChange",
    "FigureChange",
    "LayerDelta",
    "LayerDeltas",
    "OperatorChange",
    "Outcome",
    "RunChange",
    "SettingChange",
    "TargetChange",
    "changes",
    "flat",
    "layer_deltas",
    "operator_changes",
]
