"""A small HTTP server over the very runner: TensorFlow Serving's REST paths, probes, metrics.

What it needs besides edgekit is the extra ``serve``; it is imported when a server starts.
"""

from edgekit.serving.limits import Bounds
from edgekit.serving.source import Source

__all__ = ["Bounds", "Source"]
