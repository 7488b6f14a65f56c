"""What a ``.tflite`` file holds: operators, precision, weights, memory, and what is wrong."""

from edgekit.converters.inspection.difference import Difference, compare, difference_json
from edgekit.converters.inspection.facts import Finding
from edgekit.converters.inspection.summary import Inspection, explain, to_json

__all__ = [
    "Difference",
    "Finding",
    "Inspection",
    "compare",
    "difference_json",
    "explain",
    "to_json",
]
