"""Every precision of every model family, run on every runtime: what happens, once per session.

python tests/families.py docs/precisions.md     makes it anew, and writes the table there
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from forking import tensorflow_script

FAMILIES = {
    "conv": "conv",
    "depthwise": "depthwise",
    "dense": "dense",
    "lstm": "LSTM (loop)",
    "fused": "LSTM (one operator)",
    "gru": "GRU (loop)",
    "attention": "attention",
    "inputs": "two inputs",
}
RUNTIMES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
BEGIN, END = "<!-- families: begin -->", "<!-- families: end -->"

TRAIN = """
import sys
from pathlib import Path
import keras, numpy as np, tf_keras
from sklearn.datasets import load_digits
from edgekit.models.export import export_keras

folder, L = Path(sys.argv[1]), keras.layers
digits = load_digits()
x, y = (digits.images[..., None] / 16).astype("float32"), digits.target

def head(h, k=keras):
    return k.layers.Dense(10, activation="softmax", name="digit")(h)

def chain(*layers, k=keras):
    i = h = k.layers.Input((8, 8, 1), name="image")
    for layer in layers:
        h = layer(h)
    return k.Model(i, head(h, k))

def attention():
    i = keras.Input((8, 8, 1), name="image")
    h = L.Dense(32)(L.Reshape((8, 8))(i))
    h = L.Add()([h, L.MultiHeadAttention(2, 16, name="attend")(h, h)])
    return keras.Model(i, head(L.Flatten()(L.LayerNormalization()(h))))

def inputs():
    # The signature's order of names is not the model's order of inputs.
    right, left = keras.Input((8, 4, 1), name="right"), keras.Input((8, 4, 1), name="left")
    parts = [L.Conv2D(8, 3, activation="relu")(side) for side in (left, right)]
    return keras.Model([right, left], head(L.Flatten()(L.Concatenate()(parts))))

rows, K2 = L.Reshape((8, 8)), tf_keras.layers
families = {
    "conv": lambda: chain(L.Conv2D(16, 3, activation="relu"), L.Conv2D(16, 3, activation="relu"),
                          L.Flatten()),
    "depthwise": lambda: chain(L.Conv2D(32, 3, activation="relu"), L.DepthwiseConv2D(3),
                               L.ReLU(), L.Conv2D(32, 1, activation="relu"), L.Flatten()),
    "dense": lambda: chain(L.Flatten(), L.Dense(64, activation="relu")),
    "lstm": lambda: chain(L.Reshape((8, 8)), L.LSTM(32, name="reader")),
    "fused": lambda: chain(K2.Reshape((8, 8)), K2.LSTM(32, name="reader"), k=tf_keras),
    "gru": lambda: chain(L.Reshape((8, 8)), L.GRU(32, name="reader")),
    "attention": attention,
    "inputs": inputs,
}
for name, build in families.items():
    keras.utils.set_random_seed(1)
    tf_keras.utils.set_random_seed(1)
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy")
    halves = {"right": x[:, :, 4:], "left": x[:, :, :4]}
    feeds = halves if name == "inputs" else {"image": x}
    given = [feeds[i.name.split(":")[0]] for i in model.inputs]
    model.fit([one[:1200] for one in given], y[:1200], epochs=8, batch_size=32, verbose=0)
    place = folder / name
    place.mkdir()
    export_keras(model, place, False)
    for key, array in feeds.items():
        np.save(place / f"{key}.npy", array[1200:1500])
        np.save(place / f"{key}.items.npy", array[:60])
    truth = model.predict([one[1200:1500] for one in given], verbose=0)
    np.save(place / "truth.npy", truth)
"""

CONVERT = """
import json, os, signal, sys
from pathlib import Path
import tensorflow
from edgekit.converters import flatbuffer, loops
from edgekit.converters.precisions import PRECISIONS
from edgekit.converters.quantization import calibration, edge_quantizer, tensorflow_recipe
from edgekit.converters.quantization.recipe import Rule
from edgekit.converters.tflite import FILE, convert
from edgekit.errors import EdgekitError
from edgekit.process import describe_exit
from edgekit.types import Conversion

folder = Path(sys.argv[1])
# Of the recipe: all in int8, but for what is last.
RECIPE = (Rule("int8"), Rule("float32", operator="SOFTMAX"))

def make(precision, place, family):
    row, old = PRECISIONS[precision], Conversion(per_channel_dense=False)
    feeds = {p.name.removesuffix(".items.npy"): p for p in family.glob("*.items.npy")}
    base = family / "float32" / FILE
    if row.configure:
        convert(family / "saved_model", precision, feeds, place, old)
    elif row.rules:
        edge_quantizer.quantize(base, row.rules, feeds, place)
    else:
        calibration.calibrate(base, feeds, place)
        tensorflow_recipe.quantize(base, RECIPE, place / calibration.FILE, True, place)
    return row.problem(flatbuffer.read(place / FILE))

def attempt(precision, family):
    # The converter dies on some models: each conversion is a process of its own.
    place, (read, write) = family / precision, os.pipe()
    place.mkdir()
    child = os.fork()
    if not child:
        try:
            said = make(precision, place, family)
        except EdgekitError as error:
            said = f"{error.code} {error.message}"
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    if not os.WIFSIGNALED(status):
        return said
    layers = loops.recurrent_layers(flatbuffer.read(family / "float32" / FILE))
    how, _ = describe_exit(-os.WTERMSIG(status))
    error = loops.crash(layers, precision, how) if layers else None
    return f"{error.code} {error.message}" if error else f"{precision}: the converter {how}"

made = {
    family.name: {precision: attempt(precision, family) for precision in PRECISIONS}
    for family in sorted(folder.iterdir())
    if family.is_dir()
}
(folder / "made.json").write_text(json.dumps(made))
"""

RUN = """
import importlib.util, json, os, sys
from pathlib import Path
import numpy as np
from edgekit.converters import flatbuffer
from edgekit.process import describe_exit

folder, runtime = Path(sys.argv[1]), sys.argv[2]
from edgekit.targets.runners import RUNNER_FILES
spec = importlib.util.spec_from_file_location("python_runner", RUNNER_FILES[runtime])
runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)
runner.RUNTIMES[runtime][0]()

def run(file, family, place):
    names = [p.stem for p in family.glob("*.items.npy")]
    names = [name.removesuffix(".items") for name in names]
    request = {
        "schema": 1, "mode": "evaluate", "runtime": runtime, "processes": 1,
        "models": [{"id": place.name, "path": str(file), "outputs": str(place)}],
        "inputs": {name: str(family / f"{name}.npy") for name in names},
        "reset_state": flatbuffer.read(file).stateful,
    }
    return runner.handle(request, lambda result: runner.evaluate(request, result))

def attempt(file, family):
    place = file.parent / runtime
    child = os.fork()
    if not child:
        result = run(file, family, place)
        place.mkdir(exist_ok=True)
        (place / "result.json").write_text(json.dumps(result))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"refused": describe_exit(-os.WTERMSIG(status))[0]}
    result = json.loads((place / "result.json").read_text())
    if "error" in result:
        return {"refused": result["error"]["message"]}
    got, truth = np.load(place / "digit.npy"), np.load(family / "truth.npy")
    return {"agreement": float(np.mean(got.argmax(1) == truth.argmax(1)))}

made, found = json.loads((folder / "made.json").read_text()), {}
for family, rows in made.items():
    found[family] = {
        precision: attempt(folder / family / precision / "model.tflite", folder / family)
        for precision, problem in rows.items()
        if not problem
    }
(folder / f"{runtime}.json").write_text(json.dumps(found))
"""


def make(folder: Path) -> None:
    """Fill ``folder``: ``made.json`` says how each conversion went, by family and precision.

    ``<runtime>.json`` says what came of each file there: the ``agreement`` with Keras over 300
    items, or why it was ``refused``. A runtime that is not installed has no file.
    """
    tensorflow_script(TRAIN, folder)
    tensorflow_script(CONVERT, folder)
    for runtime, distribution in RUNTIMES.items():
        if _installed(distribution):
            _script(RUN, str(folder), runtime)


def _script(text: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-c", text, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])


def _installed(distribution: str) -> bool:
    from importlib import metadata

    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False


def outcome(folder: Path, family: str, precision: str, runtime: str) -> str:
    """``runs``, or why not: an error's code, or the operator that the runtime lacks."""
    problem = problems(folder)[family][precision]
    if problem:
        code = re.match(r"EK-[A-Z]+-\d+", problem)
        return code[0] if code else f"not {precision}"
    found = _read(folder / f"{runtime}.json")[family][precision]
    if "agreement" in found:
        return "runs" if found["agreement"] >= 0.85 else "answers otherwise"
    lacking = re.search(r"opcode '(\w+)' version '(\d+)'", found["refused"])
    return f"lacks {lacking[1]} {lacking[2]}" if lacking else str(found["refused"])


def problems(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Why a file was not made, by family and precision; empty where it was."""
    return json.loads((folder / "made.json").read_text())  # type: ignore[no-any-return]


def _read(path: Path) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def table(folder: Path) -> str:
    """The Markdown table: precisions by families, with what each runtime does."""
    from edgekit.converters.precisions import PRECISIONS

    lines = [
        f"| precision | {' | '.join(FAMILIES.values())} |",
        f"| --- |{' --- |' * len(FAMILIES)}",
    ]
    for precision in PRECISIONS:
        cells = [_cell([outcome(folder, f, precision, r) for r in RUNTIMES]) for f in FAMILIES]
        lines.append(f"| `{precision}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(found: list[str]) -> str:
    if found[0] == found[1]:
        return "both" if found[0] == "runs" else found[0]
    if found[0] == "runs":
        return f"LiteRT; 2.14 {found[1]}"
    return f"LiteRT {found[0]}; 2.14 {found[1]}"


def written(text: str, rows: str) -> str:
    """A document with the table between its marks replaced."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{rows}{END}{after}"


if __name__ == "__main__":
    document = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary))
        document.write_text(written(document.read_text(), table(Path(temporary))))
