"""What a model is for: one table of tasks, and how one is detected."""

from .detect import Detected, detect, of_labels, of_metric
from .evidence import TaskEvidence
from .table import TASKS
from .task import Task

__all__ = ["TASKS", "Detected", "Task", "TaskEvidence", "detect", "of_labels", "of_metric"]
