"""Nothing in a model file runs: what would is refused by name, before any loader sees the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import loading
import pytest

from conftest import answer, once
from edgekit.errors import ModelError
from edgekit.models import files
from edgekit.models.safety import findings, refuse
from edgekit.models.source import identify

# --- configurations, without any loader ----------------------------------------------------------


def layer(class_name: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {
        "module": module, "class_name": class_name, "config": {"name": "odd", **config},
        "registered_name": None,
    }  # fmt: skip


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
    "a call by another name": {**bare("Nope", function="io.write_file"),
                               "registered_name": "keras>TFOpLambda"},
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
}  # fmt: skip
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
        "module": "my.types", "class_name": "__typespec__", "spec_name": "Spec", "config": [],
        "registered_name": None,
    },
}  # fmt: skip
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
        **model_of(layer("Dense")), "compile_config": {"loss": function("os", "system")},
    },
    "quantized": layer(
        "QuantizeWrapperV2",
        "tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper",
    ),
    "words": layer("StringLookup", vocabulary=["a", "b"]),
}  # fmt: skip


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

PLANTED = """
spring = lambda x: (__import__("os").makedirs("sprung", exist_ok=True), x)[1]
def sequence(K, *layers):
    return K.Sequential([K.Input((8, 8, 1)), *layers, K.layers.Flatten(), K.layers.Dense(10)])
def unversioned(file):
    del file.attrs["keras_version"]
    file["model_weights"].attrs.pop("keras_version", None)
names = []
for name, K in (("three", keras), ("two", tf_keras)):
    L = K.layers
    builds = {
        "plain": lambda: sequence(K, L.Lambda(spring, name="spring")),
        "nested": lambda: sequence(K, sequence(K, L.Lambda(spring)), L.Reshape((10, 1))),
        "wrapped": lambda: sequence(K, L.TimeDistributed(L.Lambda(spring))),
    }
    for kind, build in builds.items():
        model = build()
        for suffix in ("keras", "h5", "json"):
            file = f"{name}-{kind}.{suffix}"
            if suffix == "json":
                Path(file).write_text(model.to_json())
                model.save_weights(f"{name}-{kind}.weights.h5")
            else:
                model.save(file)
            names.append(file)
    edit_config(f"{name}-plain.keras", f"{name}-unversioned.keras", lambda c: c, version="")
    edit_h5(f"{name}-plain.h5", f"{name}-unversioned.h5", unversioned)
    names += [f"{name}-unversioned.keras", f"{name}-unversioned.h5"]
def claims(file):
    file.attrs["keras_version"] = "3.8.0"
edit_h5("two-plain.h5", "two-claims-three.h5", claims)
edit_config("two-plain.keras", "two-claims-three.keras", lambda c: c, version="3.8.0")
# A Lambda for whom reads it as HDF5, a harmless model for whom reads it as a zip.
sequence(tf_keras).save("harmless.keras")
Path("both.h5").write_bytes(
    Path("two-plain.h5").read_bytes() + Path("harmless.keras").read_bytes())
shutil.copy("harmless.keras", "no-suffix")
Path("names.json").write_text(json.dumps(names + ["two-claims-three.h5", "two-claims-three.keras"]))
from edgekit.types import Model
def sprung():
    was = Path("sprung").exists()
    shutil.rmtree("sprung", ignore_errors=True)
    return was
sprung()
for name in [*names, "two-claims-three.h5", "two-claims-three.keras"]:
    load_case(name, name)
    # Whoever calls the loader past `identify`.
    suffix = name.rpartition(".")[2]
    for generation in ("keras3", "keras2", "unknown"):
        weights = Path(name.replace(".json", ".weights.h5")) if suffix == "json" else None
        try:
            load(Model(Path(name), suffix, generation, "", weights=weights))
            outcomes[name] = {"error": "none"}
        except EdgekitError as error:
            outcomes[name].setdefault("past", []).append(error.code)
    outcomes[name]["sprung"] = sprung()
for name in ("both.h5", "no-suffix"):
    load_case(name, name)
    outcomes[name]["sprung"] = sprung()
for name in names:
    try:
        model = load(identify(Path(name), True), True)
        model(np.zeros((1, 8, 8, 1), "float32"))
        outcomes["trusted " + name] = {"sprung": sprung()}
    except EdgekitError as error:
        outcomes["trusted " + name] = {**explained(error), "sprung": sprung()}
sprung()
"""
GRAPHS = '''
def saved(name, build, trust=False, label=None):
    module = tf.Module()
    function = build(module)
    wrapped = tf.function(function, input_signature=[tf.TensorSpec([None, 4], name="x")])
    tf.saved_model.save(module, name, signatures={"serving_default": wrapped})
    for path in HERE.glob("sprung*"):
        path.unlink()
    end_to_end(label or name, name, (), trust=trust)
    outcomes[label or name]["sprung"] = [path.name for path in HERE.glob("sprung*")]

def writes(module):
    def call(x):
        with tf.control_dependencies([tf.io.write_file("sprung", "x")]):
            return {"y": x + 1.0}
    return call

def reads(module):
    def call(x):
        size = tf.strings.length(tf.io.read_file("/etc/hostname"))
        return {"y": x + tf.cast(size, tf.float32)}
    return call

def deep(module):
    @tf.function
    def inner(x):
        tf.print(x, output_stream="file://sprung")
        return x
    def call(x):
        return {"y": tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, inner(y)), [0, x])[1]}
    return call

def python(module):
    return lambda x: {"y": tf.ensure_shape(tf.py_function(lambda v: v, [x], tf.float32), [None, 4])}

class Spring(tf.saved_model.experimental.TrackableResource):
    """A table that writes a file while it is restored."""
    def _create_resource(self):
        return tf.raw_ops.HashTableV2(key_dtype=tf.int64, value_dtype=tf.int64)
    def _initialize(self):
        tf.io.write_file("sprung-at-load", "x")

def at_load(module):
    module.table = Spring()
    def call(x):
        module.table.resource_handle
        return {"y": x + 1.0}
    return call

def unused(module):
    def spare():
        with tf.control_dependencies([tf.io.write_file("sprung", "x")]):
            return tf.constant(1)
    module.spare = tf.function(spare, input_signature=[])
    return lambda x: {"y": x + 1.0}

def table(module):
    Path("words.txt").write_text("a\\nb\\n")
    initializer = tf.lookup.TextFileInitializer(
        "words.txt", tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE)
    module.table = tf.lookup.StaticHashTable(initializer, "")
    def call(x):
        found = tf.strings.length(module.table.lookup(tf.cast(x, tf.int64)))
        return {"y": x + tf.cast(found, tf.float32)}
    return call

for name, build in (("writes", writes), ("reads", reads), ("deep", deep), ("python", python),
                    ("at load", at_load), ("unused", unused), ("table", table)):
    saved(name, build)
saved("with trust", writes, True)

model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)])
model.compile("adam", "mse")
model.save("compiled", save_format="tf")
end_to_end("compiled", "compiled", ())
'''


@pytest.fixture(scope="session")
def planted(shared: Path) -> Path:
    """Files with a Lambda that makes a folder where it is called, SavedModels that touch files."""
    return once(shared / "planted", lambda folder: loading.run(folder, PLANTED + GRAPHS))


def test_lambda_reaches_no_loader_without_trust(planted: Path) -> None:
    found = loading.outcomes(planted)
    for name in json.loads((planted / "names.json").read_text()):
        assert found[name]["error"] == "EK-MODEL-005", name
        assert found[name]["past"] == ["EK-MODEL-005"] * 3, name
        assert not found[name]["sprung"], name


@pytest.mark.parametrize("name", ["both.h5", "no-suffix"])
def test_loader_sees_what_was_looked_at_whatever_the_suffix(planted: Path, name: str) -> None:
    outcome = loading.outcomes(planted)[name]
    assert "error" not in outcome, outcome
    assert not outcome["sprung"]


def test_lambda_runs_with_trust(planted: Path) -> None:
    found = {k: v for k, v in loading.outcomes(planted).items() if k.startswith("trusted t")}
    assert found
    for name, outcome in found.items():
        assert "error" not in outcome, (name, outcome)
        assert outcome["sprung"], name


@pytest.mark.parametrize("name", ["three-plain.keras", "two-plain.h5", "two-unversioned.h5"])
@pytest.mark.parametrize(
    "command",
    [
        ("convert",), ("convert", "--no-evaluate"), ("convert", "--prune", "0.5"),
        ("compress", "--prune", "0.5"), ("compress", "--channels", "0.5", "--dry-run"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_runs_a_lambda_without_trust(
    planted: Path, digits: Path, tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    verb, *more = command
    done = answer(verb, planted / name, "--data", digits / "test.npz", *more, cwd=tmp_path)
    assert done.returncode == 2
    assert "error EK-MODEL-005" in done.stderr
    assert not list(tmp_path.rglob("sprung"))


@pytest.fixture(scope="session")
def graphs(planted: Path) -> dict[str, Any]:
    """What exporting SavedModels came to, whose graphs touch files or call Python."""
    return loading.outcomes(planted)


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("writes", "WriteFile"), ("reads", "ReadFile"), ("deep", "PrintV2"),
        ("python", "EagerPyFunc"), ("at load", "WriteFile"), ("unused", "WriteFile"),
    ],
)  # fmt: skip
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
