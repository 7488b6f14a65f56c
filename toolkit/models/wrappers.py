"""Find, load and strip the wrappers that TFMOT leaves in a model's file. In the worker.

Pruning and clustering wrappers have done their work once training has ended. Those of
quantization-aware training hold the ranges that the converter needs, and stay.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PRUNING = frozenset({"PruneLowMagnitude"})
CLUSTERING = frozenset({"ClusterWeights"})
QUANTIZATION = frozenset(
    {"QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer", "QuantizeAnnotate"}
)
WRAPPERS = PRUNING | CLUSTERING | QUANTIZATION

KERAS_METADATA = "keras_metadata.pb"
COLLABORATIVE = "tensorflow_model_optimization.python.core.quantization.keras.collab_opts"


def wrappers_in(config: Any) -> frozenset[str]:
    """Return the names of TFMOT's wrappers in a configuration."""
    if isinstance(config, list):
        return frozenset().union(*map(wrappers_in, config))
    if not isinstance(config, Mapping):
        return frozenset()
    name = str(config.get("class_name")).rpartition(">")[2]
    return frozenset().union({name} & WRAPPERS, *map(wrappers_in, config.values()))


def wrappers_in_saved_model(folder: Path) -> frozenset[str]:
    """Return the names of TFMOT's wrappers in what Keras 2 wrote beside a SavedModel's graph."""
    from google.protobuf.message import DecodeError
    from tf_keras.protobuf import saved_metadata_pb2

    try:
        content = (folder / KERAS_METADATA).read_bytes()
        nodes = saved_metadata_pb2.SavedMetadata.FromString(content).nodes
        return frozenset().union(*(wrappers_in(json.loads(node.metadata)) for node in nodes))
    except (OSError, DecodeError, ValueError, RecursionError):
        return frozenset()


def import_tfmot() -> Any:
    """Import ``tensorflow_model_optimization`` without its change to the environment.

    It sets TF_USE_LEGACY_KERAS, which would decide what ``tf.keras`` is here and in children.
    """
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        import tensorflow_model_optimization as tfmot
    finally:
        if before is None:
            os.environ.pop("TF_USE_LEGACY_KERAS", None)
        else:
            os.environ["TF_USE_LEGACY_KERAS"] = before
    return tfmot


@contextlib.contextmanager
def scope(wrappers: frozenset[str]) -> Iterator[None]:
    """Register TFMOT's classes with the tf_keras loader, for as long as the context lasts."""
    with contextlib.ExitStack() as stack:
        if wrappers:
            tfmot = import_tfmot()
            if wrappers & PRUNING:
                stack.enter_context(tfmot.sparsity.keras.prune_scope())
            if wrappers & CLUSTERING:
                stack.enter_context(tfmot.clustering.keras.cluster_scope())
            if wrappers & QUANTIZATION:
                stack.enter_context(tfmot.quantization.keras.quantize_scope(_collaborative()))
        yield


def strip(model: Any, wrappers: frozenset[str]) -> Any:
    """Return the model without the wrappers of pruning and clustering."""
    if wrappers & PRUNING:
        model = import_tfmot().sparsity.keras.strip_pruning(model)
    if wrappers & CLUSTERING:
        model = import_tfmot().clustering.keras.strip_clustering(model)
    return model


def _collaborative() -> Mapping[str, Any]:
    """Return the classes of the schemes that keep sparsity or clusters while quantizing."""
    classes: dict[str, Any] = {}
    for scheme in ("cluster_preserve", "prune_preserve"):
        module = importlib.import_module(f"{COLLABORATIVE}.{scheme}.{scheme}_quantize_registry")
        classes |= {name: one for name, one in vars(module).items() if isinstance(one, type)}
    return {name: one for name, one in classes.items() if "Preserve" in name}
