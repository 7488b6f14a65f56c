"""Choose the channels to remove: the least important of all, or one ratio for all groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgekit.compression.channels.analysis import analysis
from edgekit.compression.channels.importance import Scores, l1
from edgekit.compression.channels.latency import fastest
from edgekit.compression.channels.search import WidthSearch
from edgekit.compression.channels.settings import ChannelPlan, ChannelSettings, Group
from edgekit.errors import CompressionError


def macs(model: Any) -> Mapping[str, int]:
    """Count multiply-accumulates by layer, for batch 1: convolutions and matrix products.

    A layer that is not understood counts each of its matrices once per position. Additions,
    normalisations and activations count nothing: they fold into the kernels or cost little.
    Raises :class:`CompressionError` if a size is free.
    """
    return analysis(model).macs()


def analyse(model: Any) -> tuple[Group, ...]:
    """Return the groups of channels that can only go together; those that cannot shrink say why."""
    return analysis(model).groups


def plan(
    model: Any,
    settings: ChannelSettings,
    gradients: Mapping[str, Scores] | None = None,
    cost: Callable[[ChannelPlan], float] | None = None,
) -> ChannelPlan:
    """Choose the channels that stay, so that at least ``settings.macs`` of the work goes.

    ``gradients`` is what :func:`taylor` gave, for importance "taylor"; ``cost(plan)`` the
    nanoseconds of the model that ``shrink(model, plan)`` is, for objective "latency": called at
    most 20 times, and only as good as it repeats (interleave it with the whole model).
    Raises :class:`CompressionError` where no channel can go, or too few.
    """
    if settings.importance == "taylor" and gradients is None:
        hint = "give data to train on, or set importance = 'l1'"
        raise CompressionError(
            "EK-COMPRESS-027", "importance = 'taylor' needs gradients of training batches", hint
        )
    if settings.objective == "latency" and cost is None:
        hint = "give the device to measure on, or set objective = 'macs'"
        raise CompressionError(
            "EK-COMPRESS-027", "objective = 'latency' needs a cost to measure", hint
        )
    analysed = analysis(model)
    scores = gradients if settings.importance == "taylor" and gradients else l1(analysed)
    search = WidthSearch(analysed, settings, scores)
    search.check()
    if settings.objective == "latency" and cost is not None:
        return fastest(search, cost)
    if settings.allocation == "uniform":
        return search.plan(search.uniform())
    return search.plan(search.least(settings.multiple))
