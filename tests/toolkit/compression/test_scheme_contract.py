"""edgekit's own schemes keep the contract, and the contract sees faults."""

from __future__ import annotations

import inspect
import json
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faulty_schemes
import pytest
from forking import tensorflow_script

from conftest import once
from edgekit.compression.schemes import SCHEMES
from edgekit.contracts.scheme import SchemeContract
from edgekit.project.compress import ClusterTable, PruneTable, QuantizationAwareTable

# It trains or converts many models first.
pytestmark = pytest.mark.slow

TRY = """
import json, sys
from pathlib import Path
path, without, *folders = sys.argv[1:]
sys.path = json.loads(path)
from edgekit.contracts import scheme_trial
for folder in folders:
    scheme_trial.main(Path(folder), without.split())
"""
NOBODY, CLASSES = {"nobody": False}, {"classes": False}


def pruned(layer: Mapping[str, Any]) -> bool:
    return abs(layer["sparsity"] - layer["requested"]) <= 1 / layer["weights"] + 1e-9


class TestPrune(SchemeContract):
    scheme = SCHEMES["prune"]
    table = PruneTable(sparsity=0.5)
    left_out = PruneTable(sparsity=0.5, layers=CLASSES)
    unknown = PruneTable(sparsity=0.5, layers=NOBODY)

    def holds(self, layer: Mapping[str, Any]) -> bool:
        return pruned(layer)


class ForkedContract(SchemeContract):
    """Tried in a process that finds TensorFlow imported already."""

    @staticmethod
    def start_trial(folder: Path) -> None:
        tensorflow_script(TRY, json.dumps(sys.path), "", folder)


class TestPrunePattern(ForkedContract):
    scheme = SCHEMES["prune"]
    table = PruneTable(pattern="2:4")
    left_out = PruneTable(pattern="2:4", layers=CLASSES)
    unknown = PruneTable(pattern="2:4", layers=NOBODY)

    def holds(self, layer: Mapping[str, Any]) -> bool:
        return pruned(layer)


class TestCluster(ForkedContract):
    scheme = SCHEMES["cluster"]
    table = ClusterTable(clusters=8)
    left_out = ClusterTable(clusters=8, layers=CLASSES)
    unknown = ClusterTable(clusters=8, layers=NOBODY)

    def holds(self, layer: Mapping[str, Any]) -> bool:
        return bool(2 <= layer["unique"] <= layer["requested"])


class TestQuantizationAware(ForkedContract):
    scheme = SCHEMES["quantization_aware"]
    table = QuantizationAwareTable()
    left_out = QuantizationAwareTable(layers=CLASSES)
    unknown = QuantizationAwareTable(layers=NOBODY)

    def holds(self, layer: Mapping[str, Any]) -> bool:
        return layer["requested"] == 1 and layer["weights"] > 0


SEEN = {
    faulty_schemes.ForgetsToPrune: "test_layers_are_as_asked",
    faulty_schemes.ForgetsToStrip: (
        "test_compressed_model_carries_nothing_that_only_training_needs"
    ),
    faulty_schemes.HidesALayer: "test_plan_has_one_row_for_every_layer_with_kernels",
    faulty_schemes.IgnoresScope: "test_layer_is_left_alone_when_the_user_says_so",
    faulty_schemes.LosesZeros: "test_zeros_of_pruning_survive",
}


@pytest.fixture(scope="session")
def faulty(shared: Path) -> Path:
    """A folder for each fault by name, all tried in one process that imports TensorFlow."""

    def make(folder: Path) -> None:
        for fault in SEEN:
            place = folder / fault.__name__
            place.mkdir()
            settings = (fault(), TestPrune.table, TestPrune.left_out, TestPrune.unknown)
            (place / "settings.pickle").write_bytes(pickle.dumps(settings))
        # The tests see each fault in one shot.
        tensorflow_script(TRY, json.dumps(sys.path), "trained", *folder.iterdir())

    return once(shared / "faulty-schemes", make)


@pytest.mark.parametrize("fault", SEEN, ids=lambda fault: fault.__name__)
def test_contract_goes_red_when_a_scheme_is_faulty(faulty: Path, fault: Any) -> None:
    check = getattr(TestPrune(), SEEN[fault])
    outcomes = json.loads((faulty / fault.__name__ / "outcomes.json").read_text())
    with pytest.raises(AssertionError):
        check(outcomes, *(["one shot"] if "how" in inspect.signature(check).parameters else []))
