"""Structured channel pruning of Keras models: the channels really go, so every runtime gains.

Work on a model object of either Keras generation: :func:`analyse` finds the channels that can only
go together, :func:`plan` chooses those that go, :func:`shrink` builds the smaller model.
"""

from edgekit.compression.channels.importance import taylor
from edgekit.compression.channels.planner import analyse, macs, plan
from edgekit.compression.channels.settings import ChannelPlan, ChannelSettings, Group, LayerRow
from edgekit.compression.channels.surgery import shrink

__all__ = [
    "ChannelPlan",
    "ChannelSettings",
    "Group",
    "LayerRow",
    "analyse",
    "macs",
    "plan",
    "shrink",
    "taylor",
]
