"""``[containers]`` of the project file: how a model is served on Kubernetes."""

from __future__ import annotations

from pydantic import Field, model_validator

from edgekit.project.table import Table


class ContainersTable(Table):
    """What ``edgekit containers`` asks of a cluster for ``edgekit serve``, in all and per pod."""

    image: str = ""
    """Image that serves. ``image = "registry.example/digits:1"``"""
    canary_image: str = ""
    """Image with the version that is tried out. ``canary_image = "registry.example/digits:2"``"""
    replicas: int = Field(default=2, ge=1, le=1000, strict=True)
    """Pods in all. ``replicas = 10``"""
    canary: int = Field(default=1, ge=1, le=999, strict=True)
    """How many of them are the canary's, where it has an image. ``canary = 1``"""
    cpu: str = "500m"
    """Processors that a pod is sure of. ``cpu = "2"``"""
    memory: str = "512Mi"
    """Memory of a pod, and the most that it may take. ``memory = "1Gi"``"""
    cpu_limit: str = "2"
    """The most processors that a pod may take. ``cpu_limit = "4"``"""

    @model_validator(mode="after")
    def _some_stay(self) -> ContainersTable:
        if self.canary_image and self.canary >= self.replicas:
            raise ValueError(
                f"canary = {self.canary} of replicas = {self.replicas} leaves none for image:"
                " nine and one of ten are replicas = 10, canary = 1"
            )
        return self
