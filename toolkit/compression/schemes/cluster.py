"""Weight clustering by TFMOT: each kernel keeps a few different values.

Source: Han, Mao and Dally (2016), "Deep Compression".
"""

from __future__ import annotations

from typing import Any

from edgekit.compression.scheme import Context, LayerPlan, kernels, layer_plan, workable
from edgekit.compression.scope import check_scopes, setting
from edgekit.models.wrappers import import_tfmot
from edgekit.project.compress import ClusterTable

INITIALIZATIONS = {
    "kmeans++": "KMEANS_PLUS_PLUS",
    "density": "DENSITY_BASED",
    "linear": "LINEAR",
    "random": "RANDOM",
}


class Cluster:
    """``clusters`` different values a kernel, or a channel of one; zeros of pruning are kept."""

    name = "cluster"
    learning_rate = 1e-4
    needs_items = False

    def plan(self, model: Any, table: ClusterTable) -> tuple[LayerPlan, ...]:
        """Plan a row per layer with kernels. Raises CompressionError if none can be clustered."""
        check_scopes(self.name, model.layers, table.types, table.layers)
        rows = (_row(layer, table) for layer in model.layers if kernels(layer))
        return workable(tuple(rows), "clustered")

    def wrap(
        self, model: Any, table: ClusterTable, plan: tuple[LayerPlan, ...], context: Context
    ) -> Any:
        """Replace the kernels to cluster with centroids."""
        import tf_keras

        tfmot = import_tfmot()
        from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import (  # noqa: E501
            cluster_weights,
        )

        counts = {row.layer: int(row.value) for row in plan if row.value}
        initialization = getattr(
            tfmot.clustering.keras.CentroidInitialization, INITIALIZATIONS[table.initialization]
        )

        def wrapped(layer: Any) -> Any:
            if layer.name not in counts:
                return layer
            return cluster_weights(
                layer,
                number_of_clusters=counts[layer.name],
                cluster_centroids_init=initialization,
                preserve_sparsity="prune" in context.before,
                cluster_per_channel=table.per_channel,
            )

        return tf_keras.models.clone_model(model, clone_function=wrapped)

    def callbacks(self, folder: str | None) -> list[Any]:
        """Return no callbacks: centroids train as weights do."""
        return []

    def settled(self, table: ClusterTable, steps: int) -> int:
        """Return 0: the number of clusters never changes."""
        return 0

    def strip(self, wrapped: Any, model: Any, plan: tuple[LayerPlan, ...]) -> Any:
        """Return the model with clustered kernels in place of centroids."""
        return import_tfmot().clustering.keras.strip_clustering(wrapped)


def _row(layer: Any, table: ClusterTable) -> LayerPlan:
    count = setting(layer.name, type(layer).__name__, table.clusters, table.types, table.layers)
    left_out = "left out by [compress] cluster"
    return layer_plan(layer, count, left_out, lambda arrays: _refusal(layer, table, count, arrays))


def _refusal(layer: Any, table: ClusterTable, count: int, arrays: list[Any]) -> str:
    """Say why TFMOT cannot cluster a layer; most of these it would skip without an error."""
    import_tfmot()
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import (
        ClusteringRegistry,
    )

    kind = type(layer).__name__
    if "Depthwise" in kind:
        return "TFMOT never clusters depthwise kernels: the accuracy lost cannot be recovered"
    if not hasattr(layer, "get_clusterable_weights") and not ClusteringRegistry.supports(layer):
        return f"TFMOT cannot cluster a {kind}"
    size = min(int(kernel.size) for kernel in arrays)
    share = "kernel"
    if table.per_channel and kind == "Conv2D":
        size, share = size // arrays[0].shape[-1], "channel"
    if size <= count:
        return f"its {share} has {size} weights: no more than the {count} clusters"
    return ""
