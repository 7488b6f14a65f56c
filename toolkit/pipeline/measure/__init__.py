"""Measuring models as they are: evaluate, compare and bench, on any device."""

from edgekit.pipeline.measure.asked import Asked, BenchOptions
from edgekit.pipeline.measure.bench_job import BenchJob, perform
from edgekit.pipeline.measure.compare import compare
from edgekit.pipeline.measure.evaluate import evaluate
from edgekit.pipeline.measure.fleet import bench

__all__ = [
    "Asked", "BenchJob", "BenchOptions", "bench", "compare", "evaluate", "perform",
]  # fmt: skip
