"""Models that mean harm, made here: none does any, with its marker file as the witness."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import loading
import numpy as np
import pytest

from conftest import once
from edgekit.errors import EdgekitError, RunnerError
from edgekit.models.export import export
from edgekit.models.source import identify
from edgekit.targets.devices.local import LocalDevice
from edgekit.walls import Walls, landlock, state
from edgekit.worker import Worker

CRASHING = Path(__file__).parent / "hdf5_cve" / "cve-2025-6858.h5"
SCRIPT = '''
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.util import tf_export
from edgekit.models import allowlist, graph
from edgekit.models.load_guard import _allowed_calls, guarded
from edgekit.models.safety import findings

MARKER = HERE / "marker"
CRASHING = "@CRASHING@"
(HERE / "secret.bin").write_bytes(b"0123456789abcdef")

def write(x):
    with tf.control_dependencies([tf.io.write_file(str(MARKER), "x")]):
        return {"y": x + 1.0}

SPEC = [tf.TensorSpec([None, 4], name="x")]

def folder(name, function=lambda x: {"y": x + 1.0}, fill=lambda module: None):
    module = tf.Module()
    module.v = tf.Variable(1.0)
    fill(module)
    served = tf.function(function, input_signature=SPEC)
    other = tf.function(write, input_signature=SPEC)
    tf.saved_model.save(module, name, signatures={"serving_default": served, "other": other})
    return name

def edited(name, edit):
    path = Path(name, "saved_model.pb")
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    edit(saved.meta_graphs[0])
    path.write_bytes(saved.SerializeToString())

def tried(label, name, trust=False):
    MARKER.unlink(missing_ok=True)
    try:
        end_to_end(label, name, (), trust=trust)
    except Exception as error:
        outcomes[label] = {"error": type(error).__name__, "message": str(error)}
    outcomes[label]["marker"] = MARKER.exists()

# The graph shows the harmless function, the objects name the other one.
def swap(graph):
    objects = graph.object_graph_def.nodes
    (signatures,) = [c.node_id for c in objects[0].children if c.local_name == "signatures"]
    named = {c.local_name: c for c in objects[signatures].children}
    named["serving_default"].node_id = named["other"].node_id

def drop(graph):
    swap(graph)
    del graph.signature_def["other"]

for name, edit in (("two tables", swap), ("hidden table", drop)):
    edited(folder(name), edit)
    tried(name, name)
    tried(name + " trusted", name, True)

def immutable(x):
    data = tf.raw_ops.ImmutableConst(
        dtype=tf.float32, shape=[4], memory_region_name=str(HERE / "secret.bin"))
    return {"y": x + data}

def planted_gradient(module):
    @tf.custom_gradient
    def odd(x):
        def grad(dy):
            with tf.control_dependencies([tf.io.write_file(str(MARKER), "x")]):
                return dy * 1.0
        return x * 2.0, grad
    module.odd = tf.function(lambda x: odd(x), input_signature=SPEC)

class Resource(tf.saved_model.experimental.TrackableResource):
    def _create_resource(self):
        with tf.control_dependencies([tf.io.write_file(str(MARKER), "x")]):
            return tf.raw_ops.HashTableV2(key_dtype=tf.int64, value_dtype=tf.int64)
    def _initialize(self):
        pass

def resource(module):
    module.table = Resource()
    module.table.resource_handle

def vocabulary(x):
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    done = tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename=str(HERE / "secret.bin"), key_index=-2, value_index=-1)
    return {"y": x + 1.0}

def matching(x):
    return {"y": x + tf.cast(tf.size(tf.io.matching_files("/*")), tf.float32)}

def loop(x):
    body = lambda i, y: (i + 1, write(y)["y"])
    return {"y": tf.while_loop(lambda i, y: i < 1, body, [0, x])[1]}

def dataset(x):
    made = tf.data.TextLineDataset(str(HERE / "secret.bin"))
    return {"y": x + tf.cast(tf.strings.length(made.get_single_element()), tf.float32)}

def only(name, function=None, fill=lambda module: None):
    module = tf.Module()
    module.v = tf.Variable(1.0)
    fill(module)
    served = tf.function(function or (lambda x: {"y": x + 1.0}), input_signature=SPEC)
    tf.saved_model.save(module, name, signatures={"serving_default": served})
    tried(name, name)

only("immutable constant", immutable)
only("resource", fill=resource)
only("vocabulary of another file", vocabulary)
only("matching files", matching)
only("loop", loop)
only("dataset", dataset)

harmless = "harmless"
only(harmless)
assert "error" not in outcomes[harmless], outcomes[harmless]
read = saved_model_pb2.SavedModel.FromString(Path(harmless, "saved_model.pb").read_bytes())

def copy(name, edit):
    shutil.copytree(harmless, name)
    edited(name, edit)
    tried(name, name)

def gradient(graph):
    library = graph.graph_def.library
    one = library.function.add()
    one.signature.name = "__inference_gradient_1"
    one.node_def.add(name="w", op="WriteFile")
    library.gradient.add(function_name=library.function[0].signature.name,
                         gradient_func=one.signature.name)

def initialiser(graph):
    graph.graph_def.node.add(name="evil", op="WriteFile")
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "evil"

def own_path(graph):
    """The saver itself, with a path of its own."""
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "RestoreV2":
                text = function.node_def.add(name="path", op="Const")
                text.attr["value"].tensor.string_val.append(b"/etc/passwd")
                node.input[0] = "path:output:0"

def called_saver(graph):
    """The saver, called by somebody else."""
    (name,) = [f.signature.name for f in graph.graph_def.library.function
               if "traced_save" in f.signature.name]
    node = graph.graph_def.node.add(name="again", op="StatefulPartitionedCall")
    node.attr["f"].func.name = name

def disguised(graph):
    one = graph.graph_def.library.function.add()
    one.signature.name = "WriteFile"
    graph.graph_def.node.add(name="w", op="WriteFile")

def asset(graph):
    graph.asset_file_def.add(filename="../../secret.bin").tensor_info.name = "a:0"

for name, edit in (("gradient", gradient), ("initialiser", initialiser), ("own path", own_path),
                   ("called saver", called_saver), ("disguised function", disguised),
                   ("asset outside", asset)):
    copy(name, edit)
shutil.copytree(harmless, "linked")
Path("linked/assets").mkdir(exist_ok=True)
os.symlink("/etc/hostname", "linked/assets/words.txt")
tried("linked", "linked")

# Every operator that TensorFlow has, each in a function of its own.
buffer = pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList())
registered = sorted(op.name for op in op_def_pb2.OpList.FromString(buffer).op)
graphs, slipped = 0, []
for name in registered:
    one = meta_graph_pb2.MetaGraphDef()
    function = one.graph_def.library.function.add()
    function.signature.name = "f"
    node = function.node_def.add(name="n", op=name)
    node.input.extend(["a", "b", "c"])
    if (name in allowlist.operators()) == (name in list(graph._refused(one))):
        slipped.append(name)
    graphs += 1
outcomes["registry"] = {
    "tried": graphs, "slipped": slipped,
    "unknown": sorted(allowlist.operators() - set(registered)),
    "allowed": sorted(allowlist.operators()),
}

# Every function that TensorFlow exports, by every name, and by what it is.
exported = tf_export._NAME_TO_SYMBOL_MAPPING
dangerous = {id(exported[n]) for n in exported if n.startswith((
    "raw_ops.", "compat.v1.raw_ops.")) and not allowlist.is_operator(n.rpartition(".")[2])}
spaces = ("io.gfile", "io.write", "io.read", "load_", "py_func", "numpy_function", "data.",
          "summary.", "train.", "saved_model.", "config.", "distribute.", "print", "profiler.",
          "compat.v1.gfile", "compat.v1.load_", "compat.v1.py_func", "compat.v1.write_file",
          "compat.v1.read_file", "sysconfig.", "mlir.", "autograph.", "function", "debugging.exp",
          "keras.utils.", "keras.models.", "keras.saving.", "lookup.", "queue.", "tpu.")
dangerous |= {id(exported[n]) for n in exported if n.startswith(spaces)}
by_name = [n for n in exported if id(exported[n]) in dangerous and allowlist.is_call(n)]
taken = [n for n in exported if id(exported[n]) in dangerous
         and not findings({"class_name": "TFOpLambda", "config": {"function": n}})]
outcomes["calls"] = {
    "exported": len(exported), "by name": by_name, "taken": taken,
    "by identity": [n for n in exported if id(exported[n]) in dangerous & _allowed_calls()],
    "gone": sorted(allowlist.calls() - exported.keys()),
}

# Archives of Keras 3: what lies beside the configuration.
import io, pickle
class Springs:
    def __reduce__(self):
        return (os.system, (f"touch {MARKER}",))
K = keras.layers
keras.Sequential([keras.Input((4,)), K.Dense(2, name="d")]).save("good.keras")
with zipfile.ZipFile("good.keras") as archive:
    good = [(name, archive.read(name)) for name in archive.namelist()]
code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}
layer = {"module": "keras.layers", "class_name": "Lambda",
         "config": {"name": "l", "function": code}}
evil = json.dumps({"module": "keras", "class_name": "Sequential",
                   "config": {"name": "m", "layers": [layer]}}).encode()
weights = dict(good)["model.weights.h5"]
def without(*names):
    return [(name, content) for name, content in good if name not in names]
def packed(weights):
    content = io.BytesIO()
    np.savez(content, weights)
    return content.getvalue()
def linked(edit):
    with h5py.File("edited.h5", "w") as file:
        edit(file)
    return Path("edited.h5").read_bytes()
def link(file):
    file["layers/d/vars/0"] = h5py.ExternalLink(str(HERE / "other.h5"), "x")
def outside(file):
    elsewhere = [(str(HERE / "secret.bin"), 0, 32)]
    file.create_dataset("layers/d/vars/0", (4, 2), "f4", external=elsewhere)
deep = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
with_marker = ("assets/../../../" + str(MARKER).lstrip("/"), b"x")
ARCHIVES = {
    "name that leads out": [*good, with_marker, ("../marker", b"x")],
    "name from the root": [*good, (str(MARKER), b"x"), ("assets/" + str(MARKER), b"x")],
    "weights that are pickled": [*without("model.weights.h5"),
        ("model.weights.npz", packed(np.array([Springs()], dtype=object)))],
    "weights that are a pickle": [*without("model.weights.h5"),
        ("model.weights.h5", pickle.dumps(Springs()))],
    "weights behind a link": [*without("model.weights.h5"), ("model.weights.h5", linked(link))],
    "weights of another file": [*without("model.weights.h5"),
        ("model.weights.h5", linked(outside))],
    "weights that crash": [*without("model.weights.h5"),
        ("model.weights.h5", Path(CRASHING).read_bytes())],
    "two configurations, the first evil": [("config.json", evil), *good],
    "two configurations, the last evil": [*good, ("config.json", evil)],
    "configuration nested deeply": [*without("config.json"), ("config.json", deep)],
    "configuration that is a list": [*without("config.json"), ("config.json", b"[" + evil + b"]")],
    "configuration without a class": [*without("config.json"), ("config.json", b"{}")],
    "metadata that is a list": [*without("metadata.json"), ("metadata.json", b"[1]")],
    "another module of the same name": [*good, ("keras.py", b"import os; os.abort()")],
}
for label, members in ARCHIVES.items():
    MARKER.unlink(missing_ok=True)
    name = label.replace(" ", "-").replace(",", "") + ".keras"
    with zipfile.ZipFile(name, "w") as archive:
        for member, content in members:
            archive.writestr(member, content)
    load_case("archive " + label, name)
    outcomes["archive " + label]["marker"] = MARKER.exists() or Path("../marker").exists()

# A Keras 2 file whose layer calls TensorFlow, past the first look.
L = tf_keras.layers
i = tf_keras.Input((4,))
tf_keras.Model(i, L.Dense(2)(tf.math.sin(i))).save("calls.h5")
load_case("harmless call", "calls.h5")
def evil_call(config):
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "TFOpLambda":
            layer["config"]["function"] = "compat.v1.write_file"
            layer["inbound_nodes"] = [[str(MARKER), {"contents": "x"}]]
    return config
edit_config("calls.h5", "evil.h5", evil_call)
load_case("evil call", "evil.h5")
outcomes["evil call"]["marker"] = MARKER.exists()

# The same, for the walls to hold: within a folder of one's own, and native code.
import _ctypes
shutil.copy(_ctypes.__file__, "library.so")
(HERE / "own").mkdir()
for name, function, *node in (
    ("outside", "compat.v1.write_file", str(MARKER), {"contents": "x"}),
    ("inside", "compat.v1.write_file", str(HERE / "own" / "marker"), {"contents": "x"}),
    ("secret", "compat.v1.read_file", str(HERE / "secret.bin"), {}),
    ("library", "compat.v1.load_file_system_library", str(HERE / "library.so"), {}),
):
    def edit(config):
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "TFOpLambda":
                layer["config"]["function"] = function
                layer["inbound_nodes"] = [["_CONSTANT_VALUE", -1, *node]]
        return config
    edit_config("calls.h5", name + ".h5", edit)
from tf_keras.src.layers.core.tf_op_layer import TFOpLambda
from tf_keras.src.saving import serialization_lib
for label, action in {
    "call past names": lambda: TFOpLambda.from_config({"function": "compat.v1.write_file"}),
    "class past names": lambda: serialization_lib.deserialize_keras_object({
        "module": "tf_keras.src.utils.data_utils", "class_name": "function", "config": "get_file",
        "registered_name": "get_file"}),
    "lambda past names": lambda: serialization_lib.deserialize_keras_object({
        "module": "tf_keras.src.layers.core.lambda_layer", "class_name": "Lambda",
        "config": {"function": "4w=="}, "registered_name": None}),
}.items():
    try:
        with guarded(Path("m.h5"), ()):
            action()
        outcomes[label] = {}
    except EdgekitError as error:
        outcomes[label] = explained(error)
'''


@pytest.fixture(scope="session")
def found(shared: Path) -> dict[str, Any]:
    """What came of each hostile model, by label: one process for all of them."""
    return loading.outcomes(
        once(
            shared / "hostile",
            lambda folder: loading.run(folder, SCRIPT.replace("@CRASHING@", str(CRASHING))),
        )
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("immutable constant", "ImmutableConst"), ("resource", "WriteFile"),
        ("vocabulary of another file", "of another file"), ("matching files", "MatchingFiles"),
        ("loop", "WriteFile"), ("dataset", "TextLineDataset"), ("gradient", "WriteFile"),
        ("initialiser", "WriteFile"), ("own path", "RestoreV2"), ("called saver", "SaveV2"),
        ("disguised function", "named like an operator"), ("asset outside", "../../secret.bin"),
        ("linked", "/etc/hostname"),
    ],
)  # fmt: skip
def test_saved_model_that_does_more_than_compute_is_refused(
    found: dict[str, Any], name: str, words: str
) -> None:
    outcome = found[name]
    assert outcome.get("error") == "EK-MODEL-014", outcome
    assert words in outcome["message"]
    assert not outcome["marker"]


@pytest.mark.parametrize("name", ["two tables", "hidden table"])
@pytest.mark.parametrize("trusted", ["", " trusted"])
def test_saved_model_whose_two_tables_of_signatures_differ_is_refused(
    found: dict[str, Any], name: str, trusted: str
) -> None:
    outcome = found[name + trusted]
    assert outcome.get("error") == "EK-MODEL-027", outcome
    assert "serving_default" in outcome["message"] or "other" in outcome["message"]
    assert not outcome["marker"]


def test_every_registered_operator_is_allowed_or_refused(found: dict[str, Any]) -> None:
    registry = found["registry"]
    assert registry["tried"] > 1500
    assert registry["slipped"] == []
    # No list of what was once there.
    assert registry["unknown"] == []


@pytest.mark.parametrize(
    "words",
    [
        "ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "Dataset", "Reader", "Save", "Restore",
        "Checkpoint", "ImmutableConst", "Rpc", "Summary", "Debug", "Collective", "Nccl", "Send",
        "Recv", "RemoteCall", "XlaCall", "XlaCustomCall", "TPU", "Iterator", "FileSystem",
        "RecordInput", "FixedUnigram", "LoadAndRemap", "PrintV2", "VocabRemapping",
    ],
)  # fmt: skip
def test_no_operator_that_reaches_out_is_allowed(found: dict[str, Any], words: str) -> None:
    # These make a text of their input, and write nothing.
    pure = ("ScalarSummary", "HistogramSummary", "ImageSummary", "AudioSummary", "MergeSummary",
            "TensorSummary")  # fmt: skip
    reached = [name for name in found["registry"]["allowed"] if words in name]
    assert [name for name in reached if not name.startswith(pure)] == []


def test_no_name_of_a_function_that_reaches_out_is_allowed(found: dict[str, Any]) -> None:
    calls = found["calls"]
    assert calls["exported"] > 5000
    assert calls["by name"] == calls["taken"] == calls["by identity"] == []
    assert calls["gone"] == []


def test_keras_2_file_that_calls_a_function_by_an_old_name_is_refused(
    found: dict[str, Any],
) -> None:
    assert "error" not in found["harmless call"]
    assert found["evil call"]["error"] == "EK-MODEL-005"
    assert "compat.v1.write_file" in found["evil call"]["message"]
    assert not found["evil call"]["marker"]


@pytest.mark.parametrize("name", ["call past names", "class past names", "lambda past names"])
def test_loader_uses_nothing_that_is_no_building_block_whatever_its_name(
    found: dict[str, Any], name: str
) -> None:
    assert found[name].get("error") == "EK-MODEL-005", found[name]


# With --trust: the list is lifted, the walls stand.
walled = pytest.mark.skipif(state().abi < landlock.NETWORK_SINCE, reason="no Landlock here")


@pytest.fixture(scope="module")
def hostile(found: dict[str, Any], shared: Path) -> Path:
    """The folder of the hostile models, by the name that it had when they were made."""
    with contextlib.suppress(FileExistsError):
        (shared / "hostile.part").symlink_to("hostile")
    return shared / "hostile.part"


@pytest.fixture(scope="module")
def behind_walls(
    hostile: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Worker, Path]]:
    """A worker as a run starts one, and a folder that it may write to."""
    folder = tmp_path_factory.mktemp("walled")
    walls = Walls(tuple(hostile.glob("*.h5")), (hostile / "own", folder))
    with Worker(folder / "log.txt", walls=walls) as worker:
        yield worker, folder


def trusted(worker: Any, path: Path, folder: Path) -> str:
    """What loading a trusted file in a worker ends with."""
    folder.mkdir()
    try:
        worker.call(export, identify(path, True), folder, False, True)
    except EdgekitError as error:
        return f"{error}"
    return ""


@walled
@pytest.mark.parametrize(
    ("name", "file"),
    [("outside.h5", "marker"), ("secret.h5", "secret.bin"), ("library.h5", "library.so")],
)
def test_trusted_h5_is_held_by_the_walls(
    hostile: Path, behind_walls: tuple[Worker, Path], started_worker: Worker, tmp_path: Path,
    name: str, file: str,
) -> None:  # fmt: skip
    worker, folder = behind_walls
    told = trusted(worker, hostile / name, folder / name)
    assert "EK-WORKER-005" in told, told
    assert f"the worker may not read or write {hostile / file}" in told.splitlines()[0]
    assert not (hostile / "marker").exists()
    # Without walls it would have been done.
    told = trusted(started_worker, hostile / name, tmp_path / "free")
    assert "ermission denied" not in told
    assert file != "marker" or (hostile / "marker").exists()
    (hostile / "marker").unlink(missing_ok=True)


@walled
def test_trusted_h5_may_write_to_a_folder_of_the_run(
    hostile: Path, behind_walls: tuple[Worker, Path]
) -> None:
    worker, folder = behind_walls
    trusted(worker, hostile / "inside.h5", folder / "inside")
    assert (hostile / "own" / "marker").read_text() == "x"


@walled
def test_saved_models_are_held_by_the_walls_of_their_runner(hostile: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 4), np.float32))
    entries = {
        name: {"id": name, "path": str(hostile / name)}
        for name in ("harmless", "loop", "immutable constant", "dataset", "matching files")
    }
    asked = {
        "mode": "bench", "runtime": "tensorflow", "inputs": {"x": str(tmp_path / "x.npy")},
        "models": list(entries.values()),
    }  # fmt: skip
    # One runner with the walls of all of them: each is asked for by itself, and fails by itself.
    session = LocalDevice(tmp_path / "requests", tmp_path / "log.txt").open(asked)
    said = {}
    try:
        with pytest.raises(RunnerError):
            session.ready()
        for name, entry in entries.items():
            session._send({**asked, "models": [entry]})
            try:
                session.ready()
            except RunnerError as error:
                said[name] = f"{error.code} {error.message}"
    finally:
        session.close()
    assert "harmless" not in said
    assert str(hostile / "marker") in said["loop"]
    for name in ("immutable constant", "dataset"):
        assert str(hostile / "secret.bin") in said[name], said
    assert all("EK-RUNNER-008" in one for one in said.values()), said
    assert not (hostile / "marker").exists()


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("name that leads out", ("",)), ("name from the root", ("",)),
        ("weights that are pickled", ("EK-MODEL-008",)),
        ("weights that are a pickle", ("EK-MODEL-003",)),
        ("weights behind a link", ("EK-MODEL-014",)),
        ("weights of another file", ("EK-MODEL-014",)),
        ("weights that crash", ("EK-MODEL-003",)),
        ("two configurations, the first evil", ("",)),
        ("two configurations, the last evil", ("EK-MODEL-005",)),
        ("configuration nested deeply", ("EK-MODEL-003",)),
        ("configuration that is a list", ("EK-MODEL-005",)),
        ("configuration without a class", ("EK-MODEL-008",)),
        ("metadata that is a list", ("EK-MODEL-003",)),
        ("another module of the same name", ("",)),
    ],
)  # fmt: skip
def test_archive_that_holds_more_than_a_model_does_no_harm(
    found: dict[str, Any], name: str, codes: tuple[str, ...]
) -> None:
    """It is refused, or loaded as the model that it also holds."""
    outcome = found[f"archive {name}"]
    assert outcome.get("error", "") in codes, outcome
    assert not outcome["marker"]
