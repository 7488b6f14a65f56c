"""Nothing in a model file runs: what would is refused by name, before any loader sees the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import loading
import numpy as np
import pytest

from conftest import answer
from edgekit.errors import ModelError
from edgekit.models import files
from edgekit.models.safety import findings, refuse
from edgekit.models.source import identify

pytestmark = pytest.mark.hostile

# --- configurations, without any loader ----------------------------------------------------------


def layer(class_name: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": "odd", **config},
        "registered_name": None,
    }


def bare(class_name: str, **config: Any) -> dict[str, Any]:
    """As Keras 2 wrote layers: without an import path."""
    return {"class_name": class_name, "config": {"name": "odd", **config}}


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def model_of(*layers: Any) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


LAMBDA = layer("Lambda", function={"class_name": "__lambda__", "config": {"value": "4wEAAAA="}})
CODE = {
    "lambda": LAMBDA,
    "lambda of keras 2": bare("Lambda", function=["4wEAAAA=", None, None], function_type="lambda"),
    "lambda of a named function": layer("Lambda", function=function("builtins", "relu")),
    "lambda in a wrapper": layer("TimeDistributed", layer=LAMBDA),
    "lambda in a bidirectional": bare("Bidirectional", layer=bare("RNN", cell=bare("Lambda"))),
    "lambda in a nested model": model_of(model_of(LAMBDA)),
    "lambda by another path": {**layer("Nope"), "registered_name": "Lambda"},
    "lambda by a dotted name": layer("layers.Lambda", "keras"),
    "lambda by its inner path": layer("Lambda", "keras.src.layers.core.lambda_layer"),
    "lambda registered": bare("keras>Lambda"),
    "lambda as activation": layer(
        "Dense", activation={"class_name": "__lambda__", "config": {"value": "4w=="}}
    ),
    "lambda as output shape": bare("Odd", output_shape=["4w=="], output_shape_type="lambda"),
    "pickled torch module": layer("TorchModuleWrapper", module="UEsDBA=="),
    "another saved model": layer("TFSMLayer", filepath="/elsewhere"),
    "a file written by a call": bare("TFOpLambda", function="io.write_file"),
    "python called by a call": bare("TFOpLambda", function="py_function"),
    "python called by an old call": bare("TFOpLambda", function="compat.v1.py_func"),
    "a library loaded by a call": bare("TFOpLambda", function="load_op_library"),
    "a raw operator": bare("TFOpLambda", function="raw_ops.WriteFile"),
    "keras called to download": bare("TFOpLambda", function="keras.utils.get_file"),
    "a file read by a class method": bare("ClassMethod", cls_symbol="data.TFRecordDataset"),
    "a library loaded by an old name": bare(
        "TFOpLambda", function="compat.v1.load_file_system_library"
    ),
    "a file written by an old name": bare("TFOpLambda", function="compat.v1.write_file"),
    "a file written by a slice": bare("SlicingOpLambda", function="io.write_file"),
    "a vocabulary of another file": bare(
        "TFOpLambda", function="raw_ops.InitializeTableFromTextFileV2"
    ),
    "a call by another name": {
        **bare("Nope", function="io.write_file"),
        "registered_name": "keras>TFOpLambda",
    },
    "a configuration made into objects": bare("TFOpLambda", function="keras.losses.deserialize"),
    "an attribute of a tensor": bare("InstanceMethod", attr_name="__init_subclass__"),
    "a class method of a class": bare(
        "ClassMethod", cls_symbol="RaggedTensor", method_name="__class__"
    ),
    "an operator that reads a file": bare(
        "TensorFlowOpLayer", node_def={"name": "w", "op": "ImmutableConst"}
    ),
    "an old operator": bare("TensorFlowOpLayer", node_def='{"name": "w", "op": "WriteFile"}'),
    "an old operator as text": bare("TensorFlowOpLayer", node_def='name: "w" op: "ReadFile"'),
}
CUSTOM = {
    "class by path": layer("Attend", "my.layers"),
    "class without path": layer("Attend", None),
    "class registered": bare("mine>Attend"),
    "function by path": layer("Dense", activation=function("os", "system")),
    "python's own function": layer("Dense", activation=function("builtins", "eval")),
    "keras's download": layer("Dense", activation=function("keras.utils", "get_file")),
    "keras's loader": layer("Dense", activation=function("keras.models", "load_model")),
    "keras's loader as class": layer("load_model", "keras.models"),
    "keras's saving": layer("load_model", "tf_keras.src.saving.saving_api"),
    "path like keras's": layer("Dense", "keras_evil.layers"),
    "initializer by path": layer("Dense", kernel_initializer=layer("Own", "my.things")),
    "type by path": {
        "module": "my.types",
        "class_name": "__typespec__",
        "spec_name": "Spec",
        "config": [],
        "registered_name": None,
    },
}
HARMLESS = {
    "layers": model_of(layer("Dense"), bare("LSTM"), layer("Functional", "keras.src.models")),
    "keras 2.15's own path": layer("Functional", "keras.src.engine.functional"),
    "operation": layer("GetItem", "keras.src.ops.numpy"),
    "activation": layer("Dense", activation=function("builtins", "gelu")),
    "arithmetic": bare("TFOpLambda", function="__operators__.add"),
    "old arithmetic": bare("TFOpLambda", function="compat.v1.math.reduce_mean"),
    "short name": bare("TFOpLambda", function="concat"),
    "backend": bare("TFOpLambda", function="keras.backend.relu"),
    "policy": layer("Dense", dtype=layer("DTypePolicy", "keras")),
    "compiled with losses of its own": {
        **model_of(layer("Dense")),
        "compile_config": {"loss": function("os", "system")},
    },
    "quantized": layer(
        "QuantizeWrapperV2",
        "tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper",
    ),
    "words": layer("StringLookup", vocabulary=["a", "b"]),
}


@pytest.mark.parametrize("name", CODE)
def test_code_in_a_configuration_is_refused_by_name(name: str) -> None:
    found = findings(model_of(layer("Dense"), CODE[name]))
    assert [one.kind for one in found] == ["code"]
    # Not even the names in the user's own module make it harmless.
    with pytest.raises(ModelError, match="EK-MODEL-005") as caught:
        refuse(Path("m.keras"), found, ("Lambda", "odd"))
    assert "--trust" in caught.value.hint
    assert "custom_objects" in caught.value.hint


@pytest.mark.parametrize("name", CUSTOM)
def test_custom_class_is_refused_by_name_when_nobody_gives_it(name: str) -> None:
    found = findings(model_of(layer("Dense"), CUSTOM[name]))
    assert {one.kind for one in found} == {"custom"}
    with pytest.raises(ModelError, match="EK-MODEL-013") as caught:
        refuse(Path("m.keras"), found)
    assert "--trust" in caught.value.hint
    assert "custom_objects" in caught.value.hint
    refuse(Path("m.keras"), found, {name for one in found for name in one.names})


@pytest.mark.parametrize("name", HARMLESS)
def test_keras_s_own_is_not_refused(name: str) -> None:
    assert findings(HARMLESS[name]) == ()


def test_vocabulary_from_a_file_is_refused() -> None:
    found = findings(model_of(layer("StringLookup", vocabulary="/etc/hostname")))
    with pytest.raises(ModelError, match="EK-MODEL-014") as caught:
        refuse(Path("m.keras"), found)
    assert "/etc/hostname" in caught.value.message


@pytest.mark.parametrize("how", ["link", "stored outside", "virtual"])
def test_h5_that_reads_other_files_is_refused(tmp_path: Path, how: str) -> None:
    path, other = tmp_path / "m.h5", tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = [1.0, 2.0]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps(model_of())
        group = file.create_group("model_weights")
        if how == "link":
            group["kernel"] = h5py.ExternalLink(str(other), "secret")
        elif how == "stored outside":
            group.create_dataset("kernel", (2,), "f8", external=[(str(other), 0, 16)])
        else:
            layout = h5py.VirtualLayout((2,), "f8")
            layout[:] = h5py.VirtualSource(str(other), "secret", (2,))
            group.create_virtual_dataset("kernel", layout)
    with pytest.raises(ModelError, match="EK-MODEL-014") as caught:
        identify(path)
    assert "other.h5" in caught.value.message
    assert files.links(other) == ()


# --- files, through loaders and commands ---------------------------------------------------------


def test_lambda_reaches_no_loader_without_trust(planted_files: Path) -> None:
    found = loading.outcomes(planted_files)
    for name in json.loads((planted_files / "names.json").read_text()):
        assert found[name]["error"] == "EK-MODEL-005", name
        assert found[name]["past"] == ["EK-MODEL-005"] * 3, name
        assert not found[name]["sprung"], name


@pytest.mark.parametrize("name", ["both.h5", "no-suffix"])
def test_loader_sees_what_was_looked_at_whatever_the_suffix(planted_files: Path, name: str) -> None:
    outcome = loading.outcomes(planted_files)[name]
    assert "error" not in outcome, outcome
    assert not outcome["sprung"]


def test_lambda_runs_with_trust(planted_files: Path) -> None:
    found = {k: v for k, v in loading.outcomes(planted_files).items() if k.startswith("trusted t")}
    assert found
    for name, outcome in found.items():
        assert "error" not in outcome, (name, outcome)
        assert outcome["sprung"], name


@pytest.mark.parametrize("name", ["three-plain.keras", "two-plain.h5", "two-unversioned.h5"])
@pytest.mark.parametrize(
    "command",
    [
        ("convert",),
        ("convert", "--no-evaluate"),
        ("convert", "--prune", "0.5"),
        ("compress", "--prune", "0.5"),
        ("compress", "--channels", "0.5", "--dry-run"),
    ],
    ids=" ".join,
)
def test_no_command_runs_a_lambda_without_trust(
    planted_files: Path, tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    np.savez(tmp_path / "items.npz", x=np.zeros((20, 8, 8, 1), np.float32), y=np.arange(20) % 10)
    verb, *more = command
    done = answer(verb, planted_files / name, "--data", "items.npz", *more, cwd=tmp_path)
    assert done.returncode == 2
    assert "error EK-MODEL-005" in done.stderr
    assert not list(tmp_path.rglob("sprung"))


@pytest.fixture(scope="session")
def graphs(planted_files: Path) -> dict[str, Any]:
    """What exporting SavedModels came to, whose graphs touch files or call Python."""
    return loading.outcomes(planted_files)


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("writes", "WriteFile"),
        ("reads", "ReadFile"),
        ("deep", "PrintV2"),
        ("python", "EagerPyFunc"),
        ("at load", "WriteFile"),
        ("unused", "WriteFile"),
    ],
)
def test_saved_model_that_touches_files_is_refused_by_operator(
    graphs: dict[str, Any], name: str, operator: str
) -> None:
    assert graphs[name]["error"] == "EK-MODEL-014"
    assert operator in graphs[name]["message"]
    assert "--trust" in graphs[name]["hint"]
    assert graphs[name]["sprung"] == []


@pytest.mark.parametrize("name", ["table", "compiled", "with trust"])
def test_saved_model_is_taken_when_nothing_of_it_touches_files(
    graphs: dict[str, Any], name: str
) -> None:
    assert "error" not in graphs[name], graphs[name]
