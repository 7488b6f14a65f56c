"""The TensorBoard logs of past trainings, and the manifests of those on Kubernetes."""

from edgekit.pipeline.manifests import training_manifests
from edgekit.pipeline.training_logs import prune_logs, serve_logs, training_logs

__all__ = ["prune_logs", "serve_logs", "training_logs", "training_manifests"]
