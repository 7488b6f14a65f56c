"""Kubernetes manifests of ``edgekit serve``: a service over two deployments, stable and canary.

The service picks pods by the app alone, so that each deployment gets requests by its number of
pods: nine of ten, and one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.containers.manifest import CONTAINER, POD, TEMPORARY, TEMPORARY_AT, documents, label
from edgekit.errors import ProjectError
from edgekit.project.containers import ContainersTable

PORT = 8501
STATE = "/state"
STABLE, CANARY = "stable", "canary"
# Seconds in which a pod that ends is taken out of the service, before it ends its server.
LEAVING = 5
UNTIL_READY = 60


def serving_manifests(name: str, table: ContainersTable) -> str:
    """Return the manifests as YAML documents. Raises :class:`ProjectError` without an image."""
    if not table.image:
        message = "[containers] image is unset: which image serves the model?"
        hint = 'image = "REGISTRY/NAME:TAG", as you tag what serving.Dockerfile builds'
        raise ProjectError("EK-CONTAINERS-001", message, hint)
    called = label(f"serve-{name}")
    canary = table.canary if table.canary_image else 0
    parts = [_service(called)]
    parts.append(_deployment(called, STABLE, table.image, table.replicas - canary, table))
    if canary:
        parts.append(_deployment(called, CANARY, table.canary_image, canary, table))
    return documents(parts)


def _service(called: str) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": called, "labels": {"app": called}},
        "spec": {
            "selector": {"app": called},
            "ports": [{"name": "http", "port": PORT, "targetPort": "http"}],
        },
    }


def _deployment(
    called: str, track: str, image: str, replicas: int, table: ContainersTable
) -> Mapping[str, Any]:
    labels = {"app": called, "track": track}
    scraped = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics",
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{called}-{track}", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": labels, "annotations": scraped},
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 30,
                    "securityContext": POD,
                    "containers": [_container(image, table)],
                    "volumes": [TEMPORARY, {"name": "state", "emptyDir": {}}],
                },
            },
        },
    }


def _container(image: str, table: ContainersTable) -> Mapping[str, Any]:
    return {
        "name": "serve",
        "image": image,
        "ports": [{"name": "http", "containerPort": PORT}],
        # Until its self-test has passed, a slow start is not a death.
        "startupProbe": _probe("/readyz", 1, UNTIL_READY),
        "livenessProbe": _probe("/healthz", 10, 3),
        "readinessProbe": _probe("/readyz", 5, 2),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LEAVING)]}}},
        "resources": {
            "requests": {"cpu": table.cpu, "memory": table.memory},
            "limits": {"cpu": table.cpu_limit, "memory": table.memory},
        },
        "securityContext": CONTAINER,
        "volumeMounts": [TEMPORARY_AT, {"name": "state", "mountPath": STATE}],
    }


def _probe(path: str, every: int, failures: int) -> Mapping[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": every,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }
