"""Kubernetes manifests of a training in several workers: Indexed Job, service, volume, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgekit.containers.manifest import CONTAINER, POD, TEMPORARY, TEMPORARY_AT, documents, label
from edgekit.errors import ProjectError
from edgekit.project import FILE
from edgekit.project.strategies import MULTI_WORKER
from edgekit.project.train import TrainTable
from edgekit.training.cluster import RESTARTS

PORT = 2222
PROJECT, STATES = "/project", "/states"
# Of a pod of an Indexed Job: which of its workers it is.
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
# A ConfigMap holds no more.
LARGEST = 1 << 20


def manifests(name: str, settings: TrainTable, project: str = "") -> str:
    """Return the manifests as YAML documents; ``project`` is the text of ``edgekit.toml``, if any.

    Raises :class:`ProjectError` without an image.
    """
    if settings.strategy != MULTI_WORKER:
        message = f"manifests are of strategy = 'multi_worker', not {settings.strategy!r}"
        hint = "say --workers N, or [train] strategy and workers"
        raise ProjectError("EK-TRAIN-028", message, hint)
    if not settings.kubernetes.image:
        message = "[train.kubernetes] image is unset: which image has edgekit and the project?"
        hint = f'image = "REGISTRY/NAME:TAG", with edgekit installed and the project in {PROJECT}'
        raise ProjectError("EK-TRAIN-028", message, hint)
    called = label(f"train-{name}")
    held = bool(project) and len(project.encode()) < LARGEST
    settled = [_settings(called, project)] if held else []
    job = _job(called, settings, held)
    return documents((*settled, _service(called), _volume(called, settings), job))


def _settings(called: str, project: str) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": called},
        "data": {FILE: project},
    }


def _service(called: str) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": called},
        "spec": {
            "clusterIP": "None",
            # Workers look for each other before they are ready.
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": called},
            "ports": [{"name": "grpc", "port": PORT}],
        },
    }


def _volume(called: str, settings: TrainTable) -> Mapping[str, Any]:
    table = settings.kubernetes
    named = {"storageClassName": table.storage_class} if table.storage_class else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": called},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            **named,
            "resources": {"requests": {"storage": table.storage}},
        },
    }


def _job(called: str, settings: TrainTable, held: bool) -> Mapping[str, Any]:
    workers = settings.workers or 2
    states = {"name": "states", "persistentVolumeClaim": {"claimName": called}}
    project = {"name": "project", "configMap": {"name": called}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": called},
        "spec": {
            "completionMode": "Indexed",
            "completions": workers,
            "parallelism": workers,
            "backoffLimitPerIndex": RESTARTS,
            "template": {
                "spec": {
                    "subdomain": called,
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": POD,
                    "containers": [_container(called, settings, workers, held)],
                    "volumes": [states, TEMPORARY, *([project] if held else [])],
                }
            },
        },
    }


def _container(called: str, settings: TrainTable, workers: int, held: bool) -> Mapping[str, Any]:
    table = settings.kubernetes
    cluster = {"worker": [f"{called}-{number}.{called}:{PORT}" for number in range(workers)]}
    task = '{"type": "worker", "index": $(INDEX)}'
    place = f'{{"cluster": {json.dumps(cluster)}, "task": {task}}}'
    gpus = {"nvidia.com/gpu": str(table.gpus)} if table.gpus else {}
    asked = {"cpu": table.cpu, "memory": table.memory, **gpus}
    project = {
        "name": "project",
        "mountPath": f"{PROJECT}/{FILE}",
        "subPath": FILE,
        "readOnly": True,
    }
    return {
        "name": "train",
        "image": table.image,
        "workingDir": PROJECT,
        "command": ["edgekit", "train", "--output", STATES, "--strategy", MULTI_WORKER],
        "env": [
            {"name": "INDEX", "valueFrom": {"fieldRef": {"fieldPath": INDEX}}},
            {"name": "TF_CONFIG", "value": place},
        ],
        "ports": [{"name": "grpc", "containerPort": PORT}],
        "resources": {"requests": asked, "limits": {**gpus, "memory": table.memory}},
        "securityContext": CONTAINER,
        "volumeMounts": [
            # A folder of its own for each: the first has the states and the model.
            {"name": "states", "mountPath": STATES, "subPathExpr": "worker-$(INDEX)"},
            TEMPORARY_AT,
            *([project] if held else []),
        ],
    }
