"""What each precision of each model family does on each installed runtime, and the table of it."""

from __future__ import annotations

from pathlib import Path

import families
import numpy as np
import numpy.typing as npt
import pytest

from conftest import once
from edgekit.api import Options, evaluate
from edgekit.contracts.runner import typed
from edgekit.converters.precisions import PRECISIONS
from edgekit.project import Project
from edgekit.targets.devices.local import LocalDevice

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "precisions.md"
LOOPS = ("lstm", "gru")
INTEGER = (*(name for name, row in PRECISIONS.items() if row.integer), "mixed")
WIDE = tuple(name for name, row in PRECISIONS.items() if row.activations == "INT16")
# Everything else is made, runs on both runtimes, and answers as Keras does.
NOT_MADE = {
    **{(family, precision): "EK-CONVERT-006" for family in LOOPS for precision in INTEGER},
    **{("fused", name): f"not {name}" for name in ("dynamic", "int4", "int4-block32")},
    **{(family, name): "EK-CONVERT-005" for family in ("attention", "fused") for name in WIDE},
}
LACKING = {"int4": "lacks DEQUANTIZE 6", "int4-block32": "lacks FULLY_CONNECTED 13"}


@pytest.fixture(scope="session")
def made(shared: Path) -> Path:
    """What :mod:`families` makes."""
    return once(shared / "families", families.make)


def expected(family: str, precision: str, runtime: str) -> str:
    if (family, precision) in NOT_MADE:
        return NOT_MADE[family, precision]
    return LACKING.get(precision, "runs") if runtime == "tflite-runtime" else "runs"


@pytest.mark.slow
@pytest.mark.parametrize("runtime", families.RUNTIMES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("family", families.FAMILIES)
def test_precision_runs_or_is_refused_with_its_reason(
    made: Path, family: str, precision: str, runtime: str
) -> None:
    if not (made / f"{runtime}.json").exists():
        pytest.skip(f"{runtime} is not installed here")
    found = families.outcome(made, family, precision, runtime)
    assert found == expected(family, precision, runtime)


@pytest.mark.slow
@pytest.mark.parametrize("family", LOOPS)
def test_crash_on_a_recurrent_layer_names_it(made: Path, family: str) -> None:
    problem = families.problems(made)[family]["int8"]
    assert f"'reader' ({family.upper()})" in problem
    assert "SIGSEGV" in problem


@pytest.mark.slow
def test_documented_table_is_what_was_found(made: Path) -> None:
    if not all((made / f"{runtime}.json").exists() for runtime in families.RUNTIMES):
        pytest.skip("a runtime of the table is not installed here")
    text = DOCUMENT.read_text(encoding="utf-8")
    assert families.written(text, families.table(made)) == text


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_stateful_model_is_scored_with_its_state_reset(
    made: Path, precision: str, tmp_path: Path
) -> None:
    from sklearn.datasets import load_digits

    family, labels = made / "fused", load_digits().target[1200:1500]
    model = family / precision / "model.tflite"
    np.savez(tmp_path / "data.npz", image=np.load(family / "image.npy"), y=labels)
    project = Project.model_validate(
        {"model": {"source": str(model)}, "data": {"evaluate": str(tmp_path / "data.npz")}}
    )
    done = evaluate(project, str(model), options=Options(output=tmp_path))
    metric = done.models[0].metric
    assert metric is not None
    assert metric.low is not None
    assert metric.low > 0.75
    assert _accuracy_without_reset(model, family / "image.npy", labels, tmp_path) < 0.5


def _accuracy_without_reset(
    model: Path, items: Path, labels: npt.NDArray[np.int64], folder: Path
) -> float:
    """What an evaluation scores that lets each item see the state of the one before."""
    request = {
        "schema": 1,
        "mode": "evaluate",
        "runtime": "litert",
        "processes": 1,
        "models": [{"id": "m", "path": str(model), "outputs": str(folder / "stale")}],
        "inputs": {"image": str(items)},
        "reset_state": False,
        "batch": 1,
    }
    LocalDevice(folder / "requests", folder / "log.txt").run(typed(request))
    answers = np.load(folder / "stale" / "digit.npy")
    return float(np.mean(answers.argmax(axis=1) == labels))
