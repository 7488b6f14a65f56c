"""Datasets on disk: read safely, checked against a model's inputs, and split."""

from edgekit.data import images as images
from edgekit.data.class_names import check_same_classes, read_labels
from edgekit.data.dataset import LABELS, Dataset
from edgekit.data.formats.image_folder import class_folders
from edgekit.data.match import SINGLE, MatchedInputs, check_items, check_pictures, match
from edgekit.data.match import UNSCALED as UNSCALED
from edgekit.data.source import check_data_file, from_file, is_picture_folder, open_source
from edgekit.data.split import Split, choose, split

__all__ = [
    "LABELS",
    "SINGLE",
    "Dataset",
    "MatchedInputs",
    "Split",
    "check_data_file",
    "check_items",
    "check_pictures",
    "check_same_classes",
    "choose",
    "class_folders",
    "from_file",
    "is_picture_folder",
    "match",
    "open_source",
    "read_labels",
    "split",
]
