"""The bridge: each kind of model crosses to tf_keras and answers alike, or is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once

# It trains or converts many models first.
pytestmark = pytest.mark.slow

CASES = Path(__file__).with_name("bridge_cases")
Outcomes = dict[str, dict[str, Any]]

# Single precision rounds at 1e-7; a deep network adds up some of it.
ROUNDING = 2e-6
REFUSED = {
    "subclassed": ("EK-COMPRESS-001", ["'own'", "Own"]),
    "unbuilt": ("EK-COMPRESS-001", ["'unbuilt'", "no Input"]),
    "adaptive": ("EK-COMPRESS-002", ["'one'", "AdaptiveAveragePooling2D"]),
    "wrapped": ("EK-COMPRESS-002", ["'one'", "AdaptiveAveragePooling2D"]),
    "random crop": ("EK-COMPRESS-002", ["'one'", "RandomCrop"]),
    "lambda": ("EK-COMPRESS-002", ["'one'", "Lambda"]),
    "other layer": ("EK-COMPRESS-002", ["'own'", "Dense, not Keras's"]),
    "other layer wrapped": ("EK-COMPRESS-002", ["'wrapper'", "Dense"]),
    "convolution": ("EK-COMPRESS-002", ["'conv'", "keras.ops, Conv"]),
    "cumsum": ("EK-COMPRESS-002", ["'cumsum'", "Cumsum"]),
    "take": ("EK-COMPRESS-002", ["'take'", "Take"]),
    "max of initial": ("EK-COMPRESS-002", ["'max", "Max", "initial"]),
    "lora": ("EK-COMPRESS-004", ["'one'", "lora_rank = 2"]),
    "gate": ("EK-COMPRESS-004", ["'one'", "use_gate = True"]),
    "stateful": ("EK-COMPRESS-004", ["'one'", "stateful"]),
    "hard sigmoid inside": ("EK-COMPRESS-004", ["'one'", "recurrent_activation", "hard_sigmoid"]),
    "weights in an activation": ("EK-COMPRESS-004", ["'one'", "activation", "PReLU"]),
    "initializer": ("EK-COMPRESS-004", ["'one'", "kernel_initializer", "Halves"]),
    "celu": ("EK-COMPRESS-004", ["'one'", "activation = 'celu'"]),
    "new setting": ("EK-COMPRESS-004", ["'new'", "novelty = 2"]),
    "training": ("EK-COMPRESS-004", ["'batch'", "training"]),
    "nested training": ("EK-COMPRESS-004", ["'inside'", "training"]),
}
FAULTS = [
    "weight",
    "nan",
    "activation",
    "hard_sigmoid",
    "only real items",
    "ends exchanged",
    "nothing finite",
]
SOUND = [
    "untouched",
    "without the real items",
    "dropout",
    "infinite alike",
    "real",
    "many real",
    "vocabulary",
    "free size",
    "long loop",
    "fixed batch",
]


def tried(shared: Path, selection: str) -> Outcomes:
    """By name of a model: what came of it. The models are in the scripts of ``bridge_cases``."""

    def make(folder: Path) -> None:
        tensorflow_script(CASES / "run.py", selection, folder / "outcomes.json")

    folder = once(shared / f"bridge-{selection}", make)
    return dict(json.loads((folder / "outcomes.json").read_text()))


@pytest.fixture(scope="session")
def fast(shared: Path) -> Outcomes:
    return tried(shared, "fast")


def crossed(outcomes: Outcomes) -> Outcomes:
    """Those that were meant to cross."""
    return {
        name: outcome
        for name, outcome in outcomes.items()
        if name not in REFUSED and not name.startswith("fault ")
    }


def check_twins(outcomes: Outcomes) -> None:
    """All have crossed: the same numbers, one flat graph, the same weights to train."""
    refused = {name: o["message"] for name, o in outcomes.items() if "code" in o}
    assert not refused
    far = {name: o["difference"] for name, o in outcomes.items() if not o["difference"] < ROUNDING}
    assert not far
    assert [name for name, o in outcomes.items() if not o["flat"]] == []
    other = {
        n: (o["trains"], o["trained"]) for n, o in outcomes.items() if o["trains"] != o["trained"]
    }
    assert not other


def check_ways_back(outcomes: Outcomes) -> None:
    """All survive tf_keras's file, and their weights arrive in a model of the original's kind."""
    stored = {n: o["stored"] for n, o in outcomes.items() if "stored" in o}
    assert stored
    assert {name: value for name, value in stored.items() if not value < ROUNDING} == {}
    back = {name: o["back"] for name, o in outcomes.items() if "back" in o}
    assert back
    for name, facts in back.items():
        assert facts.pop("difference") < ROUNDING, name
        assert facts.pop("reloaded") < ROUNDING, name
        assert facts == dict.fromkeys(facts, True), name


def test_every_layer_operation_and_graph_crosses_and_answers_alike(fast: Outcomes) -> None:
    outcomes = crossed(fast)
    assert len(outcomes) > 250
    check_twins(outcomes)


def test_twins_survive_their_file_and_go_back_to_what_the_user_brought(fast: Outcomes) -> None:
    check_ways_back(crossed(fast))


@pytest.mark.parametrize("name", REFUSED)
def test_model_that_cannot_cross_is_refused_by_name_with_ways_on(fast: Outcomes, name: str) -> None:
    code, words = REFUSED[name]
    assert fast[name].get("code") == code, fast[name]
    assert all(word in fast[name]["message"] for word in words), fast[name]
    assert "convert without compression" in fast[name]["hint"]


def test_refused_layer_is_offered_a_twin(fast: Outcomes) -> None:
    assert '[model.twins] Lambda = "layers.py:Lambda"' in fast["lambda"]["hint"]


@pytest.mark.parametrize("name", FAULTS)
def test_proof_fails_when_the_twin_is_not_the_same_model(fast: Outcomes, name: str) -> None:
    assert fast[f"fault {name}"].get("code") == "EK-COMPRESS-003", fast[f"fault {name}"]


@pytest.mark.parametrize("name", SOUND)
def test_proof_holds_when_only_training_or_numbers_never_seen_differ(
    fast: Outcomes, name: str
) -> None:
    assert fast[f"fault {name}"]["random"] < ROUNDING


def test_proof_counts_the_real_items(fast: Outcomes) -> None:
    assert fast["fault real"]["items"] == 5
    assert fast["fault many real"]["items"] == 300
    assert fast["fault fixed batch"]["items"] == 4
    assert fast["fault many real"]["real"] < ROUNDING
    assert fast["fault untouched"]["real"] is None


def test_weights_of_a_wrapped_twin_are_refused_on_the_way_back(fast: Outcomes) -> None:
    assert fast["fault lost layer"]["code"] == "EK-COMPRESS-006"
    assert "'dense'" in fast["fault lost layer"]["message"]


def test_settings_left_behind_are_named(fast: Outcomes) -> None:
    assert "one.quantization_config" in fast["Dense"]["dropped"]
    assert "one.kernel_initializer.input_axes" in fast["Dense"]["dropped"]
    assert "attention.use_gate" in fast["keras3 attention"]["dropped"]
    assert fast["keras2 sequential"]["dropped"] == []


def test_layers_lead_back_through_nested_models(fast: Outcomes) -> None:
    layers = fast["keras3 same names"]["layers"]
    assert layers["convolution"] == "convolution"
    assert layers["one_convolution"] == "one/convolution"
    assert layers["two_convolution"] == "two/convolution"
    assert fast["keras3 nested deep"]["layers"]["convolution"].startswith("level_5/level_4/")


def test_layer_shared_by_nested_models_stays_one(fast: Outcomes) -> None:
    kinds = list(fast["keras3 parts shared"]["kinds"].values())
    assert kinds.count("Conv2D") == 1
    assert list(fast["keras3 nested twice"]["kinds"].values()).count("Conv2D") == 1


def test_operations_become_layers_that_tfmot_knows_where_one_does_the_same(fast: Outcomes) -> None:
    for name, kind in [
        ("add", "Add"),
        ("concatenate", "Concatenate"),
        ("relu", "ReLU"),
        ("reshape", "Reshape"),
        ("mean (1, 2) False", "GlobalAveragePooling2D"),
        ("scale and shift", "TFOpLambda"),
    ]:
        assert kind in fast[name]["kinds"].values(), name


@pytest.mark.parametrize("selection", ["slow_layers", "families"])
def test_recurrent_layers_and_application_families_cross(shared: Path, selection: str) -> None:
    outcomes = tried(shared, selection)
    check_twins(outcomes)
    assert all(outcome["seconds"] < 60 for outcome in outcomes.values())


def test_recurrent_and_transfer_learning_models_go_back(shared: Path) -> None:
    outcomes = tried(shared, "slow_graphs")
    assert {"keras3 transfer", "keras2 transfer", "keras3 recurrent", "keras3 video"} <= set(
        outcomes
    )
    check_twins(outcomes)
    check_ways_back(outcomes)
