"""The TensorBoard logs of past trainings, and the files for images and clusters."""

from edgekit.pipeline.manifests import container_files, training_manifests
from edgekit.pipeline.training_logs import prune_logs, serve_logs, training_logs

__all__ = ["container_files", "prune_logs", "serve_logs", "training_logs", "training_manifests"]
