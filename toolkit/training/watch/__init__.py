"""Watching a training: TensorBoard's logs, and alarms in words."""

from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.batch import Batch, take
from edgekit.training.watch.callbacks import callbacks
from edgekit.training.watch.clock import InputClock
from edgekit.training.watch.settings import Settings

__all__ = ["Alarms", "Batch", "InputClock", "Settings", "callbacks", "take"]
