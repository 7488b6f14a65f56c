"""Every file kind of either Keras loads, old ones too, and what cannot load says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import loading
import pytest
from loading_scripts import SCRIPTS

from conftest import once


@pytest.fixture(scope="session")
def found(shared: Path) -> Callable[[str], dict[str, Any]]:
    """The outcomes of a script by its name; each is run once for all test processes."""

    def outcomes(name: str) -> dict[str, Any]:
        folder = once(shared / f"loading-{name}", lambda place: loading.run(place, SCRIPTS[name]))
        return loading.outcomes(folder)

    return outcomes


Found = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize(
    "label",
    [
        "three.keras",
        "three.h5",
        "three.json",
        "two.keras",
        "two.h5",
        "two.json",
        "named weights",
        "weights beside",
        "text in text",
        "weights of a whole model",
    ],
)
def test_file_of_every_kind_loads(found: Found, label: str) -> None:
    assert found("files")[label]["difference"] < 1e-6


@pytest.mark.parametrize(
    ("label", "code", "words"),
    [
        ("architecture alone", "EK-MODEL-016", "alone.weights.h5"),
        ("weights alone", "EK-MODEL-007", "--weights"),
        ("legacy weights alone", "EK-MODEL-007", "model.to_json()"),
        ("other weights", "EK-MODEL-016", "another architecture"),
        ("weights for no architecture", "EK-MODEL-016", "load_weights"),
        ("weights missing", "EK-MODEL-016", "none.weights.h5"),
        ("odd json", "EK-MODEL-003", "model.to_json()"),
        ("short json", "EK-MODEL-003", "truncated"),
        ("pickle", "EK-MODEL-005", "unpickling runs code"),
    ],
)
def test_file_that_cannot_load_says_why(found: Found, label: str, code: str, words: str) -> None:
    outcome = found("files")[label]
    assert outcome["error"] == code
    assert words in outcome["message"] + outcome["hint"]


@pytest.mark.parametrize(
    "label",
    [
        "keras 3 operations in h5",
        "depthwise and slashes keras",
        "depthwise and slashes h5",
        "no version h5",
        "no version keras",
        "no version keras 3",
        "gone loss, optimizer and metric",
        "attributes of bytes",
        "keras 2.0 sequential",
        "gru before reset_after",
        "nested, losses of its own 3",
        "nested, losses of its own 2",
    ],
)
def test_old_and_odd_file_loads(found: Found, label: str) -> None:
    assert found("files")[label].get("difference", 1) < 1e-6, found("files")[label]


def test_file_without_version_shows_what_both_loaders_say(found: Found) -> None:
    outcome = found("files")["no version, neither"]
    assert outcome["error"] == "EK-MODEL-008"
    assert "keras3 raised" in outcome["hint"]
    assert "keras2 raised" in outcome["hint"]


@pytest.mark.parametrize("file", ["three.keras", "three.h5", "two.keras", "two.h5"])
def test_custom_layer_loads_when_its_file_is_named_and_is_refused_when_not(
    found: Found, file: str
) -> None:
    outcomes = found("files")
    assert outcomes[f"{file} with"].get("difference", 1) < 1e-6, outcomes[f"{file} with"]
    without = outcomes[f"{file} without"]
    assert without["error"] == "EK-MODEL-013"
    assert "Shift" in without["message"]
    assert "custom_objects" in without["hint"]


@pytest.mark.parametrize(
    ("label", "code", "words"),
    [
        ("other classes", "EK-MODEL-013", "gives Other"),
        ("no such file", "EK-PROJECT-005", "none.py"),
        ("faulty file", "EK-PROJECT-008", "wrong.py, line 2"),
        ("twin of keras 3", "EK-MODEL-015", "tf_keras.layers.Layer"),
        ("no twin", "EK-PROJECT-007", "Attend2"),
        ("no twin file", "EK-PROJECT-005", "none.py"),
        ("function", "EK-MODEL-015", "ripple"),
    ],
)
def test_wrong_file_of_layers_says_why(found: Found, label: str, code: str, words: str) -> None:
    outcome = found("files")[label]
    assert outcome["error"] == code
    assert words in outcome["message"] + outcome["hint"]


def test_store_key_follows_the_code_of_custom_layers(found: Found) -> None:
    assert found("files")["key follows imports"]
    assert found("files")["twins"] == {"Attend": "Attend2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "wrappers"),
    [
        ("qat h5", ["QuantizeLayer", "QuantizeWrapperV2"]),
        ("pqat h5", ["QuantizeLayer", "QuantizeWrapperV2"]),
        ("prune h5", ["PruneLowMagnitude"]),
        ("prune keras", ["PruneLowMagnitude"]),
        ("cluster h5", ["ClusterWeights"]),
        ("cluster keras", ["ClusterWeights"]),
    ],
)
def test_file_with_tfmot_s_wrappers_loads_and_names_them(
    found: Found, label: str, wrappers: list[str]
) -> None:
    outcome = found("wrapped")[label]
    assert outcome["wrappers"] == wrappers
    assert outcome["difference"] < 1e-6
    assert found("wrapped")["environment"] == "0"


@pytest.mark.slow
@pytest.mark.parametrize("label", ["qat keras", "cqat h5", "pcqat h5"])
def test_quantization_aware_file_that_does_not_reload_names_the_way_on(
    found: Found, label: str
) -> None:
    outcome = found("wrapped")[label]
    assert outcome["error"] == "EK-MODEL-018"
    assert "save_format='tf'" in outcome["hint"]
    assert ("model.h5" in outcome["hint"]) == label.endswith("keras")


@pytest.mark.slow
@pytest.mark.parametrize("generation", ["3", "2"])
@pytest.mark.parametrize(
    "label",
    [
        "two inputs",
        "list outputs",
        "dict outputs",
        "same names",
        "lstm",
        "gru",
        "bidirectional",
        "attention",
        "tokens",
        "nested",
        "spatial",
        "transfer",
    ],
)
def test_model_of_every_family_runs_as_its_saved_model(
    found: Found, label: str, generation: str
) -> None:
    outcome = found("ends")[f"{label} {generation}"]
    assert outcome["float32"] < 1e-4
    # Random weights: the larger net's scales mean nothing.
    assert label == "transfer" or outcome.get("int8", 0) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("generation", ["3", "2"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_application_reloads(found: Found, generation: str, suffix: str) -> None:
    assert found("ends")[f"mobilenet {generation} {suffix}"]["difference"] < 1e-6


@pytest.mark.slow
def test_outputs_keep_the_model_s_order_and_names(found: Found) -> None:
    outcomes = found("ends")
    for generation in ("3", "2"):
        for label in ("list outputs", "dict outputs"):
            names = [name for name, _, _ in outcomes[f"{label} {generation}"]["outputs"]]
            assert names == ["zeta", "alpha"]
        assert outcomes[f"tokens {generation}"]["inputs"] == [["tokens", [None, 6], "int32"]]
        (photo,) = outcomes[f"spatial {generation}"]["inputs"]
        assert photo == ["photo", [None, None, None, 3], "float32"]
    assert outcomes["default signature"]["outputs"][0][0] == "score"
    assert outcomes["another signature"]["outputs"][0][0] == "chance"
    assert outcomes["another signature"]["parameters"] == 12


@pytest.mark.slow
@pytest.mark.parametrize(
    "label",
    [
        "default signature",
        "another signature",
        "signature named",
        "the only signature",
        "keras 3 export",
        "keras 2 saved model",
        "first called on eight",
    ],
)
def test_saved_model_of_every_maker_converts(found: Found, label: str) -> None:
    assert found("ends")[label]["float32"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "code", "words"),
    [
        ("unknown signature", "EK-MODEL-011", "did you mean 'chances'"),
        ("no default signature", "EK-MODEL-011", "--signature"),
        ("no signature", "EK-MODEL-011", "signatures="),
        ("signature of a file", "EK-MODEL-011", "text.keras"),
        ("strings", "EK-MODEL-017", "'text'"),
        ("fixed batch", "EK-MODEL-010", "fixed batch of 8"),
    ],
)
def test_model_that_cannot_convert_says_why(
    found: Found, label: str, code: str, words: str
) -> None:
    outcome = found("ends")[label]
    assert outcome["error"] == code, outcome
    assert words in outcome["message"] + outcome["hint"]
