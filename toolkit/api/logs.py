"""The TensorBoard logs of past trainings."""

from edgekit.pipeline.training_logs import prune_logs, serve_logs, training_logs

__all__ = ["prune_logs", "serve_logs", "training_logs"]
