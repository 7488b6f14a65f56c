"""What a model is for: one table of tasks, and which of them labels and outputs look like."""

from .detect import Detected, detect, of_labels, of_metric
from .look import Look
from .table import TASKS
from .task import Task

__all__ = ["TASKS", "Detected", "Look", "Task", "detect", "of_labels", "of_metric"]
