"""Kubernetes manifests of a training in several workers: Indexed Job, service, volume."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from edgekit.errors import ProjectError
from edgekit.project.strategies import MULTI_WORKER
from edgekit.project.train import TrainTable
from edgekit.training.cluster import RESTARTS

HEAD = "# Written by `edgekit train --manifests`; apply with `kubectl apply -f FILE`.\n"
PORT = 2222
FOLDER, STATES = "/project", "/states"
# Of a pod of an Indexed Job: which of its workers it is.
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def manifests(name: str, settings: TrainTable) -> str:
    """Return the manifests as YAML documents. Raises :class:`ProjectError` without an image."""
    if settings.strategy != MULTI_WORKER:
        message = f"manifests are of strategy = 'multi_worker', not {settings.strategy!r}"
        hint = "say --workers N, or [train] strategy and workers"
        raise ProjectError("EK-TRAIN-028", message, hint)
    if not settings.kubernetes.image:
        message = "[train.kubernetes] image is unset: which image has edgekit and the project?"
        hint = f'image = "REGISTRY/NAME:TAG", with edgekit installed and the project in {FOLDER}'
        raise ProjectError("EK-TRAIN-028", message, hint)
    label = _label(name)
    parts = (_service(label), _volume(label, settings), _job(label, settings))
    return HEAD + "".join(f"---\n{_yaml(part)}\n" for part in parts)


def _label(name: str) -> str:
    """Return a name as DNS takes labels, with room for the number of a pod."""
    return re.sub(r"[^a-z0-9]+", "-", f"train-{name}".lower())[:50].strip("-")


def _service(label: str) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": label},
        "spec": {
            "clusterIP": "None",
            # Workers look for each other before they are ready.
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": label},
            "ports": [{"name": "grpc", "port": PORT}],
        },
    }


def _volume(label: str, settings: TrainTable) -> Mapping[str, Any]:
    table = settings.kubernetes
    named = {"storageClassName": table.storage_class} if table.storage_class else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": label},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            **named,
            "resources": {"requests": {"storage": table.storage}},
        },
    }


def _job(label: str, settings: TrainTable) -> Mapping[str, Any]:
    workers = settings.workers or 2
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": label},
        "spec": {
            "completionMode": "Indexed",
            "completions": workers,
            "parallelism": workers,
            "backoffLimitPerIndex": RESTARTS,
            "template": {
                "spec": {
                    "subdomain": label,
                    "restartPolicy": "Never",
                    "containers": [_container(label, settings, workers)],
                    "volumes": [{"name": "states", "persistentVolumeClaim": {"claimName": label}}],
                }
            },
        },
    }


def _container(label: str, settings: TrainTable, workers: int) -> Mapping[str, Any]:
    table = settings.kubernetes
    cluster = {"worker": [f"{label}-{number}.{label}:{PORT}" for number in range(workers)]}
    task = '{"type": "worker", "index": $(INDEX)}'
    place = f'{{"cluster": {json.dumps(cluster)}, "task": {task}}}'
    gpus = {"nvidia.com/gpu": str(table.gpus)} if table.gpus else {}
    asked = {"cpu": table.cpu, "memory": table.memory, **gpus}
    return {
        "name": "train",
        "image": table.image,
        "workingDir": FOLDER,
        "command": ["edgekit", "train", "--output", STATES, "--strategy", MULTI_WORKER],
        "env": [
            {"name": "INDEX", "valueFrom": {"fieldRef": {"fieldPath": INDEX}}},
            {"name": "TF_CONFIG", "value": place},
        ],
        "ports": [{"name": "grpc", "containerPort": PORT}],
        "resources": {"requests": asked, "limits": {**gpus, "memory": table.memory}},
        # A folder of its own for each: the first has the states and the model.
        "volumeMounts": [{"name": "states", "mountPath": STATES, "subPathExpr": "worker-$(INDEX)"}],
    }


def _yaml(value: Any, indent: str = "") -> str:
    """Write what is in a manifest as YAML; texts are quoted as JSON quotes them."""
    if isinstance(value, Mapping):
        return "\n".join(f"{indent}{key}:{_below(one, indent)}" for key, one in value.items())
    return "\n".join(f"{indent}-{_item(one, indent)}" for one in value)


def _below(value: Any, indent: str) -> str:
    if isinstance(value, (Mapping, list)):
        return f"\n{_yaml(value, indent + '  ')}"
    return f" {json.dumps(value, ensure_ascii=False)}"


def _item(value: Any, indent: str) -> str:
    if isinstance(value, Mapping):
        return f" {_yaml(value, indent + '  ').lstrip()}"
    return f" {json.dumps(value, ensure_ascii=False)}"
