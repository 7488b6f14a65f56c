"""Measuring models as they are: evaluate, compare and bench, on any device."""

from edgekit.pipeline.measure.bench_details import details_of as bench_details
from edgekit.pipeline.measure.bench_job import BenchJob, perform
from edgekit.pipeline.measure.compare import compare
from edgekit.pipeline.measure.evaluate import evaluate
from edgekit.pipeline.measure.fleet import bench
from edgekit.pipeline.measure.measure_options import BenchOptions, MeasureOptions

__all__ = [
    "BenchJob",
    "BenchOptions",
    "MeasureOptions",
    "bench",
    "bench_details",
    "compare",
    "evaluate",
    "perform",
]
