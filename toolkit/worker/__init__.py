"""The process that imports TensorFlow, so that edgekit's own never does."""

from edgekit.worker.bounds import at_most
from edgekit.worker.client import Worker

__all__ = ["Worker", "at_most"]
