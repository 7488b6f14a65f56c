"""Channel pruning: the channels go, and the answers are those of the model with them at zero."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once

# It trains or converts many models first.
pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
GENERATIONS = ("keras", "tf_keras")
FAMILIES = (
    "plain",
    "resnet",
    "dscnn",
    "inception",
    "squeeze_excite",
    "flattened",
    "densenet",
    "sequence",
    "volume",
    "mixed",
    "shared",
    "nested",
    "two_heads",
    "uneven",
    "operations",
    "opaque",
)
# The ways of a channel that is cut, by what the model's own weights say (see channels_cases.py).
ZEROED = [family for family in FAMILIES if family != "operations"]


@pytest.fixture(scope="session")
def cut(shared: Path) -> dict[str, Any]:
    """By generation and family: the plan's figures, and how far the answers are apart."""
    return outcomes(shared / "channels-cut", *FAMILIES)


def outcomes(folder: Path, *families: str) -> dict[str, Any]:
    def make(part: Path) -> None:
        tensorflow_script(HERE / "channels_cases.py", part, *families)

    return dict(json.loads((once(folder, make) / "outcomes.json").read_text()))


@pytest.fixture(params=GENERATIONS)
def generation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("family", ZEROED)
def test_smaller_model_answers_as_the_whole_one_with_cut_channels_at_zero(
    cut: dict[str, Any], generation: str, family: str
) -> None:
    found = cut[f"{generation} {family}"]
    assert found["zeroed"] > 0, "the case proves nothing: no channel was cut"
    assert found["difference"] <= 1e-5, found
    assert found["spread"] > 1e-3, "the case proves nothing: the outputs hardly vary"


@pytest.mark.parametrize("family", ZEROED)
def test_answers_differ_when_more_channels_are_at_zero(
    cut: dict[str, Any], generation: str, family: str
) -> None:
    assert cut[f"{generation} {family}"]["fault"] > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_plan_keeps_its_promises(cut: dict[str, Any], generation: str, family: str) -> None:
    found = cut[f"{generation} {family}"]
    assert found["removed"] >= found["asked"]
    assert all(count % 8 == 0 for count in found["widths"])
    # Recounted on the smaller model itself.
    assert found["macs_after"] == found["recounted"]
    assert found["parameters_after"] == found["count_params"] < found["parameters_before"]


@pytest.mark.parametrize("family", FAMILIES)
def test_smaller_model_is_of_the_same_kind_and_reloads(
    cut: dict[str, Any], generation: str, family: str
) -> None:
    found = cut[f"{generation} {family}"]
    assert found["module"].split(".")[0] == generation
    assert found["same_layers"]
    assert found["reloaded"] == 0
    assert found["unchanged"], "the model that was given has other weights now"


def test_both_generations_are_cut_alike(cut: dict[str, Any]) -> None:
    for family in FAMILIES:
        one, other = (cut[f"{generation} {family}"] for generation in GENERATIONS)
        assert one["widths"] == other["widths"], family
        assert one["macs_after"] == other["macs_after"], family


@pytest.fixture(scope="session")
def published(shared: Path) -> dict[str, Any]:
    """The same of architectures that people use."""
    return outcomes(shared / "channels-published", "mobilenet_v2", "tf_keras:mobilenet_v3")


@pytest.mark.parametrize(
    "case", ["keras mobilenet_v2", "tf_keras mobilenet_v2", "tf_keras mobilenet_v3"]
)
def test_published_architecture_is_cut_by_half_in_seconds(
    published: dict[str, Any], case: str
) -> None:
    facts = published[case]
    assert facts["removed"] >= 0.5
    assert facts["macs_after"] == facts["recounted"]
    assert facts["seconds"] < 10
    assert facts["reloaded"] == 0
    assert facts["free"] >= 20
