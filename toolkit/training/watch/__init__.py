"""Watching a training: TensorBoard's logs, and alarms in words."""
