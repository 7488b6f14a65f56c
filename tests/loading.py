"""Scripts that make model files of every kind, load them, and say what came of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from forking import tensorflow_script

# What every script starts with: `load_case(label, path)` and `end_to_end(label, path)` fill
# `outcomes`, which is written at the end.
BASIS = '''
import json, os, shutil, sys, zipfile
from pathlib import Path
os.environ["TF_USE_LEGACY_KERAS"] = "0"
import h5py, keras, numpy as np, tensorflow as tf, tf_keras
from ai_edge_litert.interpreter import Interpreter
from edgekit.converters.tflite import FILE, convert
from edgekit.errors import EdgekitError
from edgekit.models.export import export
from edgekit.models.load import load, load_with_wrappers
from edgekit.models.source import identify

HERE = Path(sys.argv[1])
os.chdir(HERE)
outcomes = {}

def explained(error):
    return {"error": error.code, "message": error.message, "hint": error.hint}

def edit_h5(source, target, edit):
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        edit(file)

def edit_config(source, target, edit, version=None):
    """A copy of a .keras or .h5 whose configuration went through `edit`."""
    if str(source).endswith(".h5"):
        def change(file):
            file.attrs["model_config"] = json.dumps(edit(json.loads(file.attrs["model_config"])))
        edit_h5(source, target, change)
        return
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(edit(json.loads(content)))
            if name == "metadata.json" and version is not None:
                content = json.dumps({**json.loads(content), "keras_version": version})
            new.writestr(name, content)

def items(model, count=8):
    rng = np.random.default_rng(0)
    return [rng.uniform(0, 1, (count, *[s or 5 for s in t.shape[1:]])).astype("float32")
            for t in model.inputs]

def load_case(label, path, expected=None, trust=False, **given):
    """Whether a file loads, and how far its answers are from those of `expected`."""
    try:
        loaded = load_with_wrappers(identify(Path(path), trust, **given), trust)
    except EdgekitError as error:
        outcomes[label] = explained(error)
        return
    found = {"wrappers": loaded.wrappers}
    if expected is not None:
        feeds = items(expected)
        feeds = feeds[0] if len(feeds) == 1 else feeds
        found["difference"] = float(np.abs(np.asarray(loaded.model(feeds)) - expected(feeds)).max())
    outcomes[label] = found

def feeds_of(specs, count, spatial, high):
    rng = np.random.default_rng(1)
    made = {}
    for name, shape, dtype in specs:
        size = (count, *[s or spatial for s in shape[1:]])
        whole = dtype.startswith("int")
        made[name] = (rng.integers(0, high, size) if whole else rng.normal(size=size)).astype(dtype)
    return made

def run_tflite(path, feeds):
    interpreter = Interpreter(str(path))
    runner = interpreter.get_signature_runner("serving_default")
    details = runner.get_input_details()
    sent = {}
    for name, value in feeds.items():
        scale, zero = details[name]["quantization"]
        dtype = details[name]["dtype"]
        if scale and dtype == np.int8:
            value = np.clip(np.round(value / scale + zero), -128, 127)
        sent[name] = value.astype(dtype)
    answers = runner(**sent)
    for name, detail in runner.get_output_details().items():
        scale, zero = detail["quantization"]
        if scale:
            answers[name] = (answers[name].astype("float32") - zero) * scale
    return answers

def end_to_end(label, path, precisions=("float32",), trust=False, spatial=8, high=9, **given):
    """Load, export, convert, run in LiteRT; how far that is from the SavedModel, per precision."""
    place = HERE / "exported" / label.replace(" ", "-")
    place.mkdir(parents=True)
    try:
        facts = export(identify(Path(path), trust, **given), place, True, trust)
    except EdgekitError as error:
        outcomes[label] = explained(error)
        return
    found = {key: facts[key] for key in ("inputs", "outputs", "batched", "parameters")}
    reference = tf.saved_model.load(str(place / "saved_model")).signatures["serving_default"]
    feeds = feeds_of(facts["inputs"], 6, spatial, high)
    files = {}
    for name, value in feeds.items():
        files[name] = place / f"{name}.npy"
        np.save(files[name], value)
    first = {name: value[:1] for name, value in feeds.items()}
    wanted = reference(**{name: tf.constant(value) for name, value in first.items()})
    for precision in precisions:
        (place / precision).mkdir()
        try:
            convert(place / "saved_model", precision, files, place / precision)
            answers = run_tflite(place / precision / FILE, first)
        except EdgekitError as error:
            found[precision] = explained(error)
            continue
        assert answers.keys() == wanted.keys()
        spread = max(float(np.ptp(v.numpy())) for v in wanted.values()) or 1.0
        found[precision] = max(
            float(np.abs(answers[n] - wanted[n].numpy()).max()) for n in wanted) / spread
    outcomes[label] = found

def done():
    (HERE / "outcomes.json").write_text(json.dumps(outcomes))
'''


def run(folder: Path, script: str) -> None:
    """Run a script in ``folder``; it leaves ``outcomes.json`` there."""
    # As a file, for Keras asks for the source of what it saves.
    file = folder / "script.py"
    file.write_text(BASIS + script + "\ndone()\n")
    tensorflow_script(file, folder)


def outcomes(folder: Path) -> dict[str, Any]:
    """What the script in ``folder`` found, by label."""
    return dict(json.loads((folder / "outcomes.json").read_text()))
