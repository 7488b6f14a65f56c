"""The devices of one process: its GPUs, else parts of its CPU."""

from __future__ import annotations

from edgekit.errors import ProjectError


def devices(count: int | None) -> list[str]:
    """Name so many devices, by default every GPU, else the CPU.

    Raises :class:`ProjectError` where there are fewer GPUs, or TensorFlow has begun already.
    """
    import tensorflow as tf

    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus and (count or gpus) <= gpus:
        return [f"GPU:{number}" for number in range(count or gpus)]
    if gpus:
        message = f"[train] replicas = {count}: there are {gpus} GPUs"
        raise ProjectError("EK-TRAIN-021", message, f"take replicas = {gpus}, or leave it out")
    parts = count or 1
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(parts)]
    )
    return [f"CPU:{number}" for number in range(parts)]
