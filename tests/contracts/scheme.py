"""What every compression scheme keeps to: it says what it does, does that, and leaves the rest.

A scheme is tried on a small convolutional network in a process of its own: in one shot, trained for
a few steps, after pruning, and with a layer left out.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

SECONDS = 300.0
# A layer of the trial network that any scheme can work on.
LAYER = "classes"
Outcomes = Mapping[str, Any]


class SchemeContract:
    """Subclass it with the attributes below; override :meth:`holds`.

    ``scheme`` is the scheme, ``table`` its settings, ``left_out`` the same settings that leave the
    layer ``classes`` alone, ``unknown`` settings for a layer that no model has.
    """

    scheme: Any
    table: Any
    left_out: Any
    unknown: Any

    def holds(self, layer: Mapping[str, Any]) -> bool:
        """Whether a layer that was worked on is as it was asked to be.

        ``layer`` has ``requested``, ``weights``, ``sparsity`` and ``unique``, as measured.
        """
        raise AssertionError("override: what is a layer like that this scheme has worked on?")

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(cls, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
        """What the trial found; made once for all of pytest-xdist's processes."""
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        folder = shared / f"scheme-{cls.__module__}.{cls.__qualname__}"
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = folder / "outcomes.json"
            return dict(json.loads(found.read_text())) if found.exists() else cls.tried(folder)

    @classmethod
    def tried(cls, folder: Path) -> Outcomes:
        """Try the scheme in a process of its own."""
        settings = (cls.scheme, cls.table, cls.left_out, cls.unknown)
        (folder / "settings.pickle").write_bytes(pickle.dumps(settings))
        cls.start_trial(folder)
        return dict(json.loads((folder / "outcomes.json").read_text()))

    @staticmethod
    def start_trial(folder: Path) -> None:
        """Have ``edgekit.contracts.scheme_trial`` fill the folder."""
        done = subprocess.run(
            [sys.executable, "-m", "edgekit.contracts.scheme_trial", str(folder)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def test_plan_has_one_row_for_every_layer_with_kernels(self, outcomes: Outcomes) -> None:
        rows = [row["layer"] for row in outcomes["plan"]]
        assert len(set(rows)) == len(rows)
        assert set(outcomes["kernels"]) <= set(rows)

    def test_plan_says_what_it_does_or_why_not(self, outcomes: Outcomes) -> None:
        for row in outcomes["plan"]:
            assert bool(row["value"]) != bool(row["reason"]), row
        assert any(row["value"] for row in outcomes["plan"])

    def test_planning_changes_nothing(self, outcomes: Outcomes) -> None:
        assert outcomes["changed by planning"] == 0.0

    @pytest.mark.parametrize("how", ["one shot", "trained"])
    def test_layers_are_as_asked(self, outcomes: Outcomes, how: str) -> None:
        touched = [layer for layer in outcomes[how]["layers"] if layer["requested"]]
        assert touched
        for layer in touched:
            assert self.holds(layer), layer

    def test_layers_left_alone_keep_their_weights(self, outcomes: Outcomes) -> None:
        left = {row["layer"] for row in outcomes["plan"] if row["reason"]}
        moved = {name for name, far in outcomes["one shot"]["moved"].items() if far}
        assert not left & moved

    @pytest.mark.parametrize("how", ["one shot", "trained"])
    def test_compressed_model_takes_and_gives_what_the_model_did(
        self, outcomes: Outcomes, how: str
    ) -> None:
        assert outcomes[how]["input"] == outcomes["input"]
        assert outcomes[how]["output"] == outcomes["output"]
        assert outcomes[how]["finite"]

    @pytest.mark.parametrize("how", ["one shot", "trained"])
    def test_compressed_model_reloads_and_answers_alike(self, outcomes: Outcomes, how: str) -> None:
        assert outcomes[how]["reloaded"] < 1e-6

    @pytest.mark.parametrize("how", ["one shot", "trained"])
    def test_compressed_model_carries_nothing_that_only_training_needs(
        self, outcomes: Outcomes, how: str
    ) -> None:
        assert outcomes[how]["elements"] < 1.2 * outcomes["elements"]

    def test_training_moves_the_weights(self, outcomes: Outcomes) -> None:
        assert outcomes["trained"]["answers moved"] > 0

    def test_zeros_of_pruning_survive(self, outcomes: Outcomes) -> None:
        for name, (before, after) in outcomes["zeros"].items():
            assert after >= before - 1e-9, (name, before, after)

    def test_layer_is_left_alone_when_the_user_says_so(self, outcomes: Outcomes) -> None:
        (row,) = [row for row in outcomes["left out"] if row["layer"] == LAYER]
        assert row["value"] is None
        assert row["reason"]

    def test_unknown_layer_is_an_error(self, outcomes: Outcomes) -> None:
        assert outcomes["unknown"] == "EK-COMPRESS-010"

    def test_settled_lies_within_the_training(self, outcomes: Outcomes) -> None:
        assert 0 <= outcomes["settled"] < 100
