"""``parameter_server``: weights on servers, and workers that train on them at their own pace."""

from __future__ import annotations

import os
from typing import Any

from edgekit.project.train import TrainTable
from edgekit.training.distribution.place import VARIABLE, Place


def strategy(settings: TrainTable, place: Place) -> Any:
    """Make the strategy of the coordinator, and wait until workers and servers are there."""
    import tensorflow as tf

    os.environ[VARIABLE] = place.text
    # Else a worker that is gone is waited for.
    os.environ["GRPC_FAIL_FAST"] = "use_caller"
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    return tf.distribute.ParameterServerStrategy(resolver)


def serve(place: Place) -> None:
    """Be a worker, or a server of weights, until this process is ended."""
    import tensorflow as tf

    os.environ["GRPC_FAIL_FAST"] = "use_caller"
    cluster = tf.train.ClusterSpec({task: list(at) for task, at in place.cluster.items()})
    server = tf.distribute.Server(
        cluster, job_name=place.task, task_index=place.index, protocol="grpc", start=True
    )
    server.join()
