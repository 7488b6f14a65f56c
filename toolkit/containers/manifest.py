"""Kubernetes manifests as YAML, and what all of them have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

# How each file begins that edgekit wrote, and may write again.
MARK = "# Written by edgekit"
HEAD = f"{MARK}; apply with `kubectl apply -f FILE`.\n"
# Who runs in the images: nobody who has an account on the node.
USER = 10001
POD: Mapping[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
# The root of the file system cannot be written.
TEMPORARY: Mapping[str, Any] = {"name": "tmp", "emptyDir": {}}
TEMPORARY_AT: Mapping[str, Any] = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108


def label(name: str) -> str:
    """Return a name as DNS takes labels, with room for the number of a pod."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:50].strip("-")


def documents(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return manifests as the documents of one YAML file."""
    return HEAD + "".join(f"---\n{_yaml(part)}\n" for part in parts)


def _yaml(value: Any, indent: str = "") -> str:
    """Write what is in a manifest as YAML; texts are quoted as JSON quotes them."""
    if isinstance(value, Mapping):
        return "\n".join(f"{indent}{key}:{_below(one, indent)}" for key, one in value.items())
    return "\n".join(f"{indent}-{_item(one, indent)}" for one in value)


def _below(value: Any, indent: str) -> str:
    if value and isinstance(value, (Mapping, list)):
        return f"\n{_yaml(value, indent + '  ')}"
    if isinstance(value, str) and _is_block(value):
        return " |\n" + "\n".join(f"{indent}  {line}".rstrip() for line in value.splitlines())
    return f" {_scalar(value)}"


def _item(value: Any, indent: str) -> str:
    if value and isinstance(value, Mapping):
        return f" {_yaml(value, indent + '  ').lstrip()}"
    return f" {_scalar(value)}"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_block(text: str) -> bool:
    """Tell whether a text reads the same as a block of YAML, where people can read it."""
    lines = text.split("\n")
    return (
        len(lines) > 2
        and lines[-1] == ""
        and lines[-2] != ""
        and lines[0][:1] not in ("", " ")
        and all(line.isprintable() and line == line.rstrip() for line in lines)
    )
