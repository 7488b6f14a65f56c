"""Measuring models as they are: evaluate, compare and bench, on any device."""

from edgekit.pipeline.measure.asked import Asked
from edgekit.pipeline.measure.bench import BenchOptions, bench
from edgekit.pipeline.measure.compare import compare
from edgekit.pipeline.measure.evaluate import evaluate

__all__ = ["Asked", "BenchOptions", "bench", "compare", "evaluate"]
