"""Structured channel pruning of Keras models: channels are removed, so every runtime gains.

Works on a model object of either Keras generation: :func:`analyse` finds the channels that can only
be removed together, :func:`plan` chooses those to remove, :func:`shrink` builds the smaller model.
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
