"""Scripts that make and load model files of every kind, for ``loading``."""

from __future__ import annotations

KINDS = """
def twin(library):
    library.utils.set_random_seed(1)
    L = library.layers
    return library.Sequential([
        library.Input((8, 8, 2), name="image"), L.Conv2D(4, 3, activation="relu"),
        L.BatchNormalization(), L.Flatten(), L.Dense(3)])

three, two = twin(keras), twin(tf_keras)
three.compile("adam", "mse"); two.compile("adam", "mse")
for name, model in (("three", three), ("two", two)):
    for suffix in (".keras", ".h5", ".weights.h5"):
        (model.save_weights if "weights" in suffix else model.save)(name + suffix)
    Path(name + ".json").write_text(model.to_json())
    load_case(name + ".keras", name + ".keras", model)
    load_case(name + ".h5", name + ".h5", model)
    load_case(name + ".json", name + ".json", model)
two.save_weights("legacy.h5")
load_case("named weights", "two.json", two, weights=Path("legacy.h5"))
Path("beside").mkdir()
shutil.copy("two.json", "beside/model.json"); shutil.copy("legacy.h5", "beside/model.h5")
load_case("weights beside", "beside/model.json", two)
text = json.dumps(two.to_json()); Path("text.json").write_text(text)
load_case("text in text", "text.json", two, weights=Path("two.weights.h5"))
Path("alone.json").write_text(two.to_json())
load_case("architecture alone", "alone.json")
load_case("weights alone", "two.weights.h5")
load_case("legacy weights alone", "legacy.h5")
small = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)])
small.save_weights("small.weights.h5")
load_case("other weights", "two.json", weights=Path("small.weights.h5"))
load_case("weights of a whole model", "three.json", three, weights=Path("three.h5"))
load_case("weights for no architecture", "two.keras", weights=Path("two.weights.h5"))
load_case("weights missing", "two.json", weights=Path("none.weights.h5"))
Path("odd.json").write_text('{"a": 1}'); load_case("odd json", "odd.json")
Path("short.json").write_text(two.to_json()[:99]); load_case("short json", "short.json")
Path("model.pkl").write_bytes(__import__("pickle").dumps({"a": 1}))
load_case("pickle", "model.pkl")
"""


OLD = '''
L = tf_keras.layers
tf_keras.utils.set_random_seed(1)
i = keras.Input((4, 4))
x = keras.ops.softmax(keras.ops.relu6(i) + 1.0)
x = keras.ops.concatenate([x, x])[:, :3]
operations = keras.Model(i, keras.ops.reshape(keras.layers.Add()([x, x]), (-1, 12)))
operations.save("operations.h5")
load_case("keras 3 operations in h5", "operations.h5", operations)
image = tf_keras.Input((8, 8, 2), name="in/put")
h = L.DepthwiseConv2D(3, name="block/depthwise")(image)
h = L.Flatten(name="a/b")(h)
mobile = tf_keras.Model(image, L.Dense(3, name="c/d")(h))
mobile.compile("adam", "mse")
for suffix in ("keras", "h5"):
    mobile.save(f"mobile.{suffix}")
    load_case(f"depthwise and slashes {suffix}", f"mobile.{suffix}", mobile)
def unversioned(file):
    del file.attrs["keras_version"]; del file["model_weights"].attrs["keras_version"]
edit_h5("mobile.h5", "nover.h5", unversioned)
load_case("no version h5", "nover.h5", mobile)
edit_config("mobile.keras", "nover.keras", lambda c: c, version="")
load_case("no version keras", "nover.keras", mobile)
three = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
three.save("three.keras"); edit_config("three.keras", "nover3.keras", lambda c: c, version="")
load_case("no version keras 3", "nover3.keras", three)
def broken(config):
    config["config"]["layers"][1]["config"]["filters"] = "many"
    return config
def unknown(config):
    config["config"]["layers"][1]["config"]["strides"] = [[1]]
    return config
edit_config("nover.keras", "neither.keras", unknown)
load_case("no version, neither", "neither.keras")
def gone(file):
    file.attrs["training_config"] = json.dumps({
        "loss": {"class_name": "Gone", "config": {"reduction": "auto"}}, "metrics": ["nope"],
        "optimizer_config": {"class_name": "Custom>Lion", "config": {}}})
edit_h5("mobile.h5", "gone.h5", gone)
load_case("gone loss, optimizer and metric", "gone.h5", mobile)
def as_bytes(file):
    for place in (file, file["model_weights"]):
        for key, value in list(place.attrs.items()):
            if isinstance(value, str):
                place.attrs[key] = np.bytes_(value.encode())
edit_h5("mobile.h5", "bytes.h5", as_bytes)
load_case("attributes of bytes", "bytes.h5", mobile)

plain = tf_keras.Sequential([tf_keras.Input((8, 8, 2)), L.Conv2D(4, 3, activation="relu"),
                             L.Flatten(), L.Dense(3)])
plain.save("plain.h5")
def early(config):
    """As Keras 2.0 wrote a Sequential: a bare list, the input's shape in its first layer."""
    layers = [one for one in config["config"]["layers"] if one["class_name"] != "InputLayer"]
    for one in layers:
        for key in ("module", "registered_name", "build_config"):
            one.pop(key, None)
        for key in ("dtype", "groups"):
            one["config"].pop(key, None)
        for key, value in list(one["config"].items()):
            if isinstance(value, dict):
                one["config"][key] = {k: value[k] for k in ("class_name", "config")}
    layers[0]["config"]["batch_input_shape"] = [None, 8, 8, 2]
    layers[0]["config"]["dtype"] = "float32"
    return {"class_name": "Sequential", "config": layers}
edit_config("plain.h5", "early.h5", early)
with h5py.File("early.h5", "r+") as file:
    file.attrs["keras_version"] = b"2.0.8"
load_case("keras 2.0 sequential", "early.h5", plain)

gru = tf_keras.Sequential([tf_keras.Input((5, 3)), L.GRU(4, reset_after=False), L.Dense(2)])
gru.save("gru.h5")
def without_reset(config):
    del config["config"]["layers"][1]["config"]["reset_after"]
    return config
edit_config("gru.h5", "old-gru.h5", without_reset)
load_case("gru before reset_after", "old-gru.h5", gru)

for name, library in (("3", keras), ("2", tf_keras)):
    inner = library.Sequential([library.Input((4,)), library.layers.Dense(4)], name="base")
    inner.compile("adam", "mse")
    i = library.Input((4,))
    outer = library.Model(i, library.layers.Dense(2)(inner(i)))
    outer.compile("adam", "mse")
    outer.save(f"nested{name}.keras")
    def odd_losses(config):
        compiled = {"optimizer": {"module": "my.optimizers", "class_name": "Gone", "config": {}},
                    "loss": {"module": "os", "class_name": "function", "config": "system"}}
        config["compile_config"] = compiled
        for one in config["config"]["layers"]:
            if one["class_name"] == "Sequential":
                one["compile_config"] = compiled
        return config
    edit_config(f"nested{name}.keras", f"losses{name}.keras", odd_losses)
    load_case(f"nested, losses of its own {name}", f"losses{name}.keras", outer)
'''


CUSTOM = '''
Path("helpers.py").write_text("SCALE = 2.0\\n")
Path("layers.py").write_text("""
import keras, tensorflow as tf, tf_keras
from helpers import SCALE

class Attend(keras.layers.Layer):
    def call(self, x):
        return tf.matmul(x, x, transpose_b=True) * SCALE

@keras.saving.register_keras_serializable("mine")
class Shift(keras.layers.Layer):
    def __init__(self, by=1.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by
    def call(self, x):
        return x + self.by
    def get_config(self):
        return {**super().get_config(), "by": self.by}

@keras.saving.register_keras_serializable("mine")
def wavy(x):
    return tf.sin(x)

def ripple(x):
    return tf.sin(x) * 0.5

class Attend2(tf_keras.layers.Layer):
    def call(self, x):
        return tf.matmul(x, x, transpose_b=True) * SCALE

@tf_keras.utils.register_keras_serializable("mine2")
class Shift2(tf_keras.layers.Layer):
    def call(self, x):
        return x + 1.0
""")
sys.path.insert(0, str(HERE))
import layers
def built(library, *more):
    i = library.Input((5, 3), name="steps")
    h = i
    for one in more:
        h = one(h)
    return library.Model(i, library.layers.Dense(2, activation=layers.ripple)(h))
three = built(keras, layers.Attend(), layers.Shift(3.0), keras.layers.Dense(4, layers.wavy))
two = built(tf_keras, layers.Attend2(), layers.Shift2())
given = Path("layers.py")
saved = {}
for name, model in (("three", three), ("two", two)):
    for suffix in ("keras", "h5"):
        file = f"{name}.{suffix}"
        model.save(file)
        saved[file] = model
registered = {**keras.saving.get_custom_objects(), **tf_keras.utils.get_custom_objects()}
keras.saving.get_custom_objects().clear(); tf_keras.utils.get_custom_objects().clear()
for file, model in saved.items():
    load_case(f"{file} without", file)
    load_case(f"{file} with", file, model, custom_objects=given)
    keras.saving.get_custom_objects().clear(); tf_keras.utils.get_custom_objects().clear()
Path("others.py").write_text("import keras\\nclass Other(keras.layers.Layer):\\n    pass\\n")
load_case("other classes", "three.keras", custom_objects=Path("others.py"))
load_case("no such file", "three.keras", custom_objects=Path("none.py"))
Path("wrong.py").write_text("import keras\\n1 / 0\\n")
load_case("faulty file", "three.keras", custom_objects=Path("wrong.py"))
before = identify(Path("three.keras"), custom_objects=given).key
Path("helpers.py").write_text("SCALE = 3.0\\n")
outcomes["key follows imports"] = before != identify(Path("three.keras"), custom_objects=given).key

from edgekit.models.custom import load_twins
outcomes["twins"] = {k: v.__name__ for k, v in load_twins(
    {"Attend": "layers.py:Attend2"}, HERE).items()}
for label, source in (("twin of keras 3", "layers.py:Attend"), ("no twin", "layers.py:Atend2"),
                      ("no twin file", "none.py:Attend2"), ("function", "layers.py:ripple")):
    try:
        load_twins({"Attend": source}, HERE)
        outcomes[label] = "loaded"
    except EdgekitError as error:
        outcomes[label] = explained(error)
'''


WRAPPED = """
import multiprocessing
from edgekit.models.wrappers import import_tfmot
tfmot = import_tfmot()
outcomes["environment"] = os.environ["TF_USE_LEGACY_KERAS"]
L = tf_keras.layers
def net():
    tf_keras.utils.set_random_seed(1)
    return tf_keras.Sequential([tf_keras.Input((8, 8, 2)), L.Conv2D(4, 3, name="convolution"),
                                L.BatchNormalization(), L.ReLU(), L.Flatten(), L.Dense(3)])
def saved(name, model, *suffixes):
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 2)).astype("float32")
    callbacks = [tfmot.sparsity.keras.UpdatePruningStep()] if "prune" == name else []
    model.fit(x, np.zeros((8, 3)), epochs=1, verbose=0, callbacks=callbacks)
    for suffix in suffixes:
        model.save(f"{name}.{suffix}")
        load_case(f"{name} {suffix}", f"{name}.{suffix}", model)
q = tfmot.quantization.keras
saved("qat", q.quantize_model(net()), "h5", "keras")
combine = tfmot.experimental.combine
with q.quantize_scope():
    pass
for name, scheme in (("pqat", combine.Default8BitPrunePreserveQuantizeScheme()),
                     ("cqat", combine.Default8BitClusterPreserveQuantizeScheme()),
                     ("pcqat", combine.Default8BitClusterPreserveQuantizeScheme(True))):
    annotated = q.quantize_annotate_model(net())
    try:
        saved(name, q.quantize_apply(annotated, scheme), "h5")
    except Exception as error:
        outcomes[name + " h5"] = {"error": type(error).__name__, "message": str(error)[:300]}
saved("prune", tfmot.sparsity.keras.prune_low_magnitude(net()), "h5", "keras")
saved("cluster", tfmot.clustering.keras.cluster_weights(net(), number_of_clusters=4), "h5", "keras")
"""


ENDS = '''
L3, L2 = keras.layers, tf_keras.layers

def both(label, build, precisions=("float32", "int8"), **options):
    for generation, library in (("3", keras), ("2", tf_keras)):
        library.utils.set_random_seed(1)
        model = build(library, library.layers)
        model.save(f"m{generation}.keras")
        end_to_end(f"{label} {generation}", f"m{generation}.keras", precisions, **options)

def two_inputs(K, L):
    a, b = K.Input((4,), name="right"), K.Input((4,), name="left")
    return K.Model([a, b], L.Dense(3, name="sum")(L.Concatenate()([L.Dense(4)(a), b])))

def list_outputs(K, L):
    i = K.Input((4,))
    return K.Model(i, [L.Dense(2, name="zeta")(i), L.Dense(3, name="alpha")(i)])

def dict_outputs(K, L):
    i = K.Input((4,))
    return K.Model(i, {"zeta": L.Dense(2)(i), "alpha": L.Dense(3)(i)})

def same_names(K, L):
    i = K.Input((4,))
    dense = L.Dense(2, name="one")
    return K.Model(i, [dense(i), dense(L.Dense(4)(i))])

def recurrent(layer):
    def build(K, L):
        return K.Sequential([K.Input((6, 3)), layer(L), L.Dense(2)])
    return build

def attention(K, L):
    i = K.Input((6, 8))
    h = L.LayerNormalization()(L.Add()([i, L.MultiHeadAttention(2, 4)(i, i)]))
    return K.Model(i, L.Dense(2)(L.GlobalAveragePooling1D()(h)))

def tokens(K, L):
    i = K.Input((6,), dtype="int32", name="tokens")
    return K.Model(i, L.Dense(2)(L.GlobalAveragePooling1D()(L.Embedding(9, 4)(i))))

def nested(K, L):
    inner = K.Sequential([K.Input((8, 8, 2)), L.Conv2D(3, 3), L.ReLU()], name="inner")
    i = K.Input((8, 8, 2))
    return K.Model(i, L.Dense(2)(L.Flatten()(inner(i))))

def spatial(K, L):
    i = K.Input((None, None, 3), name="photo")
    return K.Model(i, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(i))))

def transfer(K, L):
    base = K.applications.MobileNetV2(
        (32, 32, 3), weights=None, include_top=False, alpha=0.35)
    i = K.Input((32, 32, 3))
    return K.Model(i, L.Dense(2)(L.GlobalAveragePooling2D()(base(i, training=False))))

for name, library in (("3", keras), ("2", tf_keras)):
    one = library.applications.MobileNetV3Small((32, 32, 3), weights=None, classes=3)
    one.save(f"mobilenet{name}.keras"); one.save(f"mobilenet{name}.h5")
    load_case(f"mobilenet {name} keras", f"mobilenet{name}.keras", one)
    load_case(f"mobilenet {name} h5", f"mobilenet{name}.h5", one)

both("two inputs", two_inputs)
both("list outputs", list_outputs)
both("dict outputs", dict_outputs)
both("same names", same_names)
both("lstm", recurrent(lambda L: L.LSTM(4)), ("float32",))
both("gru", recurrent(lambda L: L.GRU(4)), ("float32",))
both("bidirectional", recurrent(lambda L: L.Bidirectional(L.LSTM(4))), ("float32",))
both("attention", attention)
both("tokens", tokens, ("float32",))
both("nested", nested)
both("spatial", spatial, ("float32",))
both("transfer", transfer)

text = keras.Sequential([keras.Input((1,), dtype="string", name="text"),
                         L3.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4),
                         L3.Embedding(5, 2), L3.Flatten(), L3.Dense(2)])
text.save("text.keras")
end_to_end("strings", "text.keras")
batch = keras.Sequential([keras.Input(batch_shape=(8, 4)), L3.Dense(2)])
batch.save("batch.keras")
end_to_end("first called on eight", "batch.keras")
state = keras.Sequential([keras.Input(batch_shape=(8, 5, 4)), L3.LSTM(2, stateful=True)])
state.save("state.keras")
end_to_end("fixed batch", "state.keras")

class Two(tf.Module):
    """Two signatures over one variable, and a function of the name of neither."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(np.random.default_rng(0).normal(size=(4, 3)), dtype="float32")

    @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
    def logits(self, x):
        return {"score": x @ self.weight}

    @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
    def chances(self, x):
        return {"chance": tf.nn.softmax(x @ self.weight)}

module = Two()
tf.saved_model.save(module, "two", signatures={
    "serving_default": module.logits, "chances": module.chances})
end_to_end("default signature", "two")
end_to_end("another signature", "two", signature="chances")
end_to_end("unknown signature", "two", signature="chance")
tf.saved_model.save(module, "other", signatures={"chances": module.chances})
end_to_end("the only signature", "other")
tf.saved_model.save(module, "neither", signatures={
    "chances": module.chances, "logits": module.logits})
end_to_end("no default signature", "neither")
end_to_end("signature named", "other", ("float32", "int8"), signature="chances")
tf.saved_model.save(module, "none")
end_to_end("no signature", "none")
end_to_end("signature of a file", "text.keras", signature="chances")
dense = keras.Sequential([keras.Input((4,), name="x"), L3.Dense(3)])
dense.export("exported3", verbose=False)
end_to_end("keras 3 export", "exported3", ("float32", "int8"))
dense2 = tf_keras.Sequential([tf_keras.Input((4,), name="x"), L2.Dense(3)])
dense2.save("saved2", save_format="tf")
end_to_end("keras 2 saved model", "saved2", ("float32", "int8"))
'''


# One process for the default tests, and one for each long family.
SCRIPTS = {"files": KINDS + OLD + CUSTOM, "wrapped": WRAPPED, "ends": ENDS}
