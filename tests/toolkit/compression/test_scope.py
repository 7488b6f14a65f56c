"""Scopes: for all, by class, by name pattern; and what the project file may say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekit.compression.scope import check_scopes, setting
from edgekit.compression.speed import forecast
from edgekit.errors import CompressionError, ProjectError
from edgekit.project import Project


class Dense(SimpleNamespace):
    """A layer as far as scopes look at it."""


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("stem", "Conv2D", 0.5),
        ("head", "Dense", 0.8),
        ("block_1_expand", "Conv2D", False),
        ("block_1_project", "Conv2D", 0.3),
        ("block_1_head", "Dense", False),
    ],
)
def test_later_scope_wins(name: str, kind: str, expected: Any) -> None:
    types = {"Dense": 0.8}
    layers = {"block_1_*": False, "*_project": 0.3}
    assert setting(name, kind, 0.5, types, layers) == expected


@pytest.mark.parametrize(
    ("types", "layers", "words"),
    [
        ({"Dens": 0.5}, {}, "did you mean 'Dense'?"),
        ({}, {"heads": 0.5}, "did you mean 'head'?"),
        ({}, {"block_*": False}, "'block_*'"),
    ],
)
def test_scope_that_matches_nothing_is_an_error(
    types: dict[str, Any], layers: dict[str, Any], words: str
) -> None:
    with pytest.raises(CompressionError) as caught:
        check_scopes("prune", [Dense(name="head")], types, layers)
    assert caught.value.code == "EK-COMPRESS-010"
    assert words in str(caught.value)


def test_scope_that_matches_is_none() -> None:
    check_scopes("prune", [Dense(name="head")], {"Dense": 0.5}, {"h*": False})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"prune": {}}, "either sparsity = 0.5 or pattern"),
        ({"prune": {"sparsity": 0.5, "pattern": "2:4"}}, "either sparsity = 0.5 or pattern"),
        ({"prune": {"sparsity": 1.0}}, "less than 1"),
        ({"prune": {"pattern": "4:4"}}, "leaves no weight"),
        ({"prune": {"pattern": "2:4", "block": [1, 4]}}, "block"),
        ({"prune": {"pattern": "2:4", "layers": {"a": 0.3}}}, "can only say false"),
        ({"prune": {"sparsity": 0.5, "layers": {"a": 2}}}, "neither a share between 0 and 1"),
        ({"prune": {"sparsity": 0.5, "layers": {"a": True}}}, "neither a share between 0 and 1"),
        ({"cluster": {"clusters": 1}}, "greater than or equal to 2"),
        ({"cluster": {"clusters": 8, "types": {"Dense": 1}}}, "neither a number of at least 2"),
        ({"quantization_aware": {"layer": {}}}, "did you mean 'layers'?"),
        ({"channels": {"macs": 0.5, "objective": "speed"}}, "'macs' or 'latency'"),
        ({"finetune": {"distill": {"temperature": 0}}}, "greater than 0"),
    ],
)
def test_wrong_table_is_named(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ProjectError) as caught:
        Project.parse({"model": {"source": "m.keras"}, "compress": table}, Path())
    assert words in str(caught.value)


def test_schemes_are_applied_in_one_order() -> None:
    table = {
        "quantization_aware": True,
        "cluster": {"clusters": 8},
        "prune": {"pattern": "2:4"},
        "channels": {"macs": 0.5},
    }
    project = Project.parse({"model": {"source": "m.keras"}, "compress": table}, Path())
    assert project.compress.schemes == ("channels", "prune", "cluster", "quantization_aware")
    off = Project.parse(
        {"model": {"source": "m.keras"}, "compress": {"quantization_aware": False}}, Path()
    )
    assert off.compress.schemes == ()


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("prune", "not faster on litert, only smaller when zipped"),
        ("cluster", "not faster on litert"),
        ("quantization_aware", "as fast as int8 without it"),
        ("channels", "faster on litert: there is less to compute"),
    ],
)
def test_forecast_promises_speed_for_channels_only(scheme: str, words: str) -> None:
    said = forecast(scheme, ("litert",), ["a condition"])
    assert said.startswith(words)
    assert ("a condition" in said) == (scheme == "prune")


def test_clusters_under_per_channel_scales_are_told() -> None:
    assert "spreads the clusters" in forecast("quantization_aware", ("litert",), [], ("cluster",))
    assert "spreads" not in forecast("quantization_aware", ("litert",), [], ("prune",))
