"""What a model is for: one table of tasks, and which of them labels and outputs look like."""

from .detect import Detected, detect, of_labels, of_metric
from .evidence import TaskEvidence
from .table import TASKS
from .task import Task

__all__ = ["TASKS", "Detected", "Task", "TaskEvidence", "detect", "of_labels", "of_metric"]
