"""Images and Kubernetes manifests of a project: all that is written of them is written here."""

from edgekit.containers.files import containers
from edgekit.containers.manifest import MARK
from edgekit.containers.training import manifests

__all__ = ["MARK", "containers", "manifests"]
