"""Model files with a Lambda that leaves a mark where it is called, and graphs that touch files."""

from __future__ import annotations

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
