"""Networks with planted ranges that int8 cannot hold, and what recovers them, made once."""

from __future__ import annotations

from pathlib import Path

from forking import tensorflow_script

NETWORKS = """
import numpy as np, keras
from sklearn.datasets import load_digits

L = keras.layers
BLOCKS, WIDTH, CHANNELS = 10, 12, 12

def network(consumers):
    # 30 operators in residual depthwise blocks, then the layer whose outputs are planted in.
    keras.utils.set_random_seed(3)
    i = keras.Input((8, 8, 1), name="image")
    h = L.Conv2D(WIDTH, 3, padding="same", activation="relu")(i)
    for at in range(BLOCKS):
        d = L.DepthwiseConv2D(3, padding="same", activation="relu", name=f"depthwise{at}")(h)
        h = L.Add()([h, L.Conv2D(WIDTH, 1, name=f"pointwise{at}")(d)])
    h = L.MaxPooling2D()(h)
    t = L.Conv2D(CHANNELS, 1, activation="relu", name="planted")(h)
    read = [L.Conv2D(WIDTH, 3, padding="same", name=f"reads{at}")(t) for at in range(consumers)]
    h = L.ReLU()(L.Add()(read)) if consumers > 1 else L.ReLU()(read[0])
    o = L.Dense(10, activation="softmax", name="digit")(L.Flatten()(h))
    return keras.Model(i, o)

def fit(model, x, y):
    # The last layer by least squares: as good as training for the purpose, and done at once.
    features = keras.Model(model.input, model.layers[-2].output)(x).numpy()
    deep = np.hstack([features, np.ones((len(x), 1))])
    a = deep.T @ deep + 1e-3 * np.trace(deep.T @ deep) / deep.shape[1] * np.eye(deep.shape[1])
    w = np.linalg.solve(a, deep.T @ (20 * np.eye(10)[y] - 10))
    model.layers[-1].set_weights([w[:-1], w[-1]])

def scale(model, first, seconds, factors):
    # Powers of two: the function stays the same to the bit.
    w, b = model.get_layer(first).get_weights()
    model.get_layer(first).set_weights([
        w * (factors[:, None] if w.shape[2] == len(factors) and w.shape[3] == 1 else factors),
        b * factors])
    for second in seconds:
        w, b = model.get_layer(second).get_weights()
        model.get_layer(second).set_weights([w / factors[:, None], b])

def outlier(model, consumers, power=10):
    factors = np.ones(CHANNELS)
    busy = keras.Model(model.input, model.get_layer("planted").output)(x[:64]).numpy()
    factors[busy.mean((0, 1, 2)).argmax()] = 2.0 ** power
    scale(model, "planted", [f"reads{at}" for at in range(consumers)], factors)

def widen(model, power=6):
    random = np.random.default_rng(5)
    for at in range(BLOCKS):
        factors = 2.0 ** random.integers(-power, power + 1, WIDTH)
        scale(model, f"depthwise{at}", [f"pointwise{at}"], factors)

digits = load_digits()
x, y = digits.images[..., None].astype(np.float32) / 16, digits.target

def made(kind):
    consumers = 2 if kind == "shared" else 1
    model = network(consumers)
    fit(model, x[:1000], y[:1000])
    before = model(x[1000:]).numpy()
    widen(model) if kind == "wide" else outlier(model, consumers)
    assert np.array_equal(before, model(x[1000:]).numpy())
    return model, float((before.argmax(1) == y[1000:]).mean())
"""

FILES = """
import sys
from pathlib import Path
folder = Path(sys.argv[1])
raw = digits.images[..., None].astype(np.uint8)
np.savez(folder / "train.npz", x=raw[:1000], y=y[:1000])
np.savez(folder / "test.npz", x=raw[1000:], y=y[1000:])
for kind in ("shared", "single", "wide"):
    model, accuracy = made(kind)
    assert accuracy > 0.8, accuracy
    model.save(folder / f"{kind}.keras")
"""


VARIANTS = """
import json, sys
from pathlib import Path
from edgekit.converters.quantization import (
    bias_correction, calibration, equalization, post_training, sensitivity)
from edgekit.converters.quantization.editing import pack, unpack
from edgekit.converters.quantization.observation import Observer
from edgekit.converters.tflite import convert
from edgekit.models.export import export_keras

folder = Path(sys.argv[1])
np.save(folder / "image.npy", x[:100])
np.save(folder / "test.npy", x[1000:1300])
feeds, test = {"image": folder / "image.npy"}, {"image": folder / "test.npy"}
answers = {}

def place(name):
    made = folder / name
    made.mkdir()
    return made

def answered(name, file):
    observer = Observer(file.read_bytes(), inside=False)
    answers[name] = np.concatenate(
        [observer.read(observer.outputs[0]) for _ in observer.run(test, 300)])

def floated(kind, model):
    export_keras(model, place(f"{kind}-exported"), True)
    convert(folder / f"{kind}-exported" / "saved_model", "float32", None, place(f"{kind}-float"))
    answered(f"{kind}-float", folder / f"{kind}-float" / "model.tflite")
    return folder / f"{kind}-float" / "model.tflite"

def quantized(name, source, **settings):
    facts = calibration.calibrate(source, feeds, place(f"{name}-calibrated"))
    calibrated = folder / f"{name}-calibrated" / "calibrated.tflite"
    post_training.quantize(calibrated, place(name), **settings)
    answered(name, folder / name / "model.tflite")
    return calibrated, facts["operators"]

facts = {"labels": y[1000:1300].tolist()}
for kind in ("shared", "wide"):
    source = floated(kind, made(kind)[0])
    calibrated, operators = quantized(f"{kind}-int8", source)
    facts[f"{kind}-equalized"] = equalization.equalize(source, feeds, place(f"{kind}-equalized"))
    better = folder / f"{kind}-equalized" / "equalized.tflite"
    answered(f"{kind}-equalized", better)
    quantized(f"{kind}-equalized-int8", better)
    if kind == "wide":
        file = folder / "wide-int8" / "model.tflite"
        facts["wide-corrected"] = bias_correction.correct(
            source, file, feeds, place("wide-corrected"))
        answered("wide-corrected", folder / "wide-corrected" / "model.tflite")
    else:
        facts["operators"] = operators
        facts["sqnr"] = sensitivity.measure(calibrated, operators, feeds, place("sensitivity"))
        lost = sorted(facts["sqnr"]["sqnr"], key=facts["sqnr"]["sqnr"].get)
        for count in (2, 3):
            post_training.quantize(calibrated, place(f"kept{count}"), keep_float=lost[:count])
            answered(f"kept{count}", folder / f"kept{count}" / "model.tflite")

# An equaliser that forgets who else reads a tensor.
source = folder / "shared-float" / "model.tflite"
broken = unpack(source.read_bytes())
name = next(n for k, n in facts["operators"] if "planted" in n)
steps = {step.name: step for step in equalization.main_operators(broken)}
readers = [s for s in steps.values() if "reads" in s.name]
between = broken.subgraphs[0].tensors[steps[name].operator.outputs[0]]
ranges = np.linspace(1, 100, CHANNELS, dtype=np.float32)
equalization.scale(broken, equalization.Pair(steps[name], readers[0], (between,)), ranges)
place("broken")
(folder / "broken" / "model.tflite").write_bytes(pack(broken))
answered("broken", folder / "broken" / "model.tflite")

# ReLU6 in front of a layer, once never reached, once reached.
for kind, gain in (("below", 1.0), ("above", 40.0)):
    i = keras.Input((8, 8, 1), name="image")
    h = L.Conv2D(8, 3, activation="relu6", name="first", bias_initializer="ones")(i)
    h = L.Conv2D(8, 3, name="second", bias_initializer="ones")(L.MaxPooling2D()(h))
    six = keras.Model(i, L.Dense(10)(L.Flatten()(h)))
    w, b = six.get_layer("first").get_weights()
    six.get_layer("first").set_weights([w * gain * np.linspace(0.1, 1, 8), b])
    source = floated(kind, six)
    facts[f"{kind}-equalized"] = equalization.equalize(source, feeds, place(f"{kind}-equalized"))
    answered(f"{kind}-equalized", folder / f"{kind}-equalized" / "equalized.tflite")

np.savez(folder / "answers.npz", **answers)
(folder / "facts.json").write_text(json.dumps(facts))
"""


def variants(folder: Path) -> None:
    """Fill ``folder``: the networks' variants in int8, equalised, corrected, kept in float.

    ``answers.npz`` holds 300 answers by file, ``facts.json`` their ``labels`` and what each step
    told. In ``broken`` an equaliser forgot that two layers read the tensor it scaled; ``below`` and
    ``above`` have a ReLU6 that the items never reach, and reach.
    """
    tensorflow_script(NETWORKS + VARIANTS, folder)


def networks(folder: Path) -> None:
    """Fill ``folder`` with ``train.npz``, ``test.npz`` and three networks of at least 30 operators.

    In ``shared.keras`` and ``single.keras`` one channel of one activation is 1,024 times too large,
    and two layers or one read it; in ``wide.keras`` the channels behind every depthwise layer span
    a factor of 4,096. In float each answers to the bit as it did before.
    """
    tensorflow_script(NETWORKS + FILES, folder)
