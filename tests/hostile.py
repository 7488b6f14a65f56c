"""Models that mean harm, written and looked at by one process for all the tests of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import loading
from planted import GRAPHS, PLANTED

CRASHING = Path(__file__).parent / "toolkit" / "models" / "hdf5_cve" / "cve-2025-6858.h5"
# Every loader looks at what one process read of a file: to start another takes longest of all.
ONCE = """
import functools
from edgekit.models import subprocess_reader
subprocess_reader.read = functools.cache(subprocess_reader.read)
subprocess_reader.links = functools.cache(subprocess_reader.links)
"""
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

# The same, for the sandbox to prevent: within a folder of one's own, and native code.
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

# Trusted, and without a sandbox: what the sandbox is to prevent is done.
for name in ("outside", "secret", "library"):
    MARKER.unlink(missing_ok=True)
    place = HERE / "free" / name
    place.mkdir(parents=True)
    try:
        export(identify(Path(name + ".h5"), True), place, False, True)
        told = ""
    except Exception as error:
        told = str(error)
    outcomes["free " + name] = {"told": told, "marker": MARKER.exists()}
MARKER.unlink(missing_ok=True)
'''


def make(folder: Path) -> None:
    """Write them below ``folder``, with what came of each in an ``outcomes.json``.

    ``files`` holds what ``SCRIPT`` plants, ``planted`` what tests/planted.py does: two processes at
    once, for the tests of either wait for them.
    """
    scripts = {
        "files": SCRIPT.replace("@CRASHING@", str(CRASHING)),
        "planted": PLANTED + GRAPHS,
    }
    with ThreadPoolExecutor() as executor:
        begun = []
        for name, script in scripts.items():
            (folder / name).mkdir()
            begun.append(executor.submit(loading.run, folder / name, ONCE + script))
        for one in begun:
            one.result()
