"""Datasets on disk: read safely, checked against a model's inputs, and split."""

from edgekit.data.arrays import Dataset, check_data_file, from_callable, from_file, read_labels
from edgekit.data.match import Matched, match
from edgekit.data.split import Split, choose, split

__all__ = [
    "Dataset",
    "Matched",
    "Split",
    "check_data_file",
    "choose",
    "from_callable",
    "from_file",
    "match",
    "read_labels",
    "split",
]
