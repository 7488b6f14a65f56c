"""Run the model of this bundle: self-test it, classify items, time it, answer files as they come.

    python app.py selftest
    python app.py classify items.npy [--top 3]
    python app.py classify photo.jpg another.png
    python app.py bench
    python app.py watch FOLDER [--record RECORDS [--raw-items N]]

With --record, what the model is given and answers is counted into the folder RECORDS: statistics,
no items. `edgekit monitor` reads them. With --raw-items, a sample of at most N items is kept there
as well, which may hold personal data.
Needs numpy and one runtime: pip install -r requirements-litert.txt (or
requirements-tflite-runtime.txt); pictures need Pillow too: pip install pillow. Works on Python 3.9
and later.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pictures
import python_runner
import raw_items as raw_sample
import recorder as records
import watch as folder_watch

HERE = Path(__file__).resolve().parent
MANIFEST: Dict[str, Any] = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
# How long `bench` times: alternating no models, so one long row of blocks.
BLOCKS = {"blocks": 20, "seconds": 0.1, "runs": 20}


def request(mode: str, runtime: str, inputs: Dict[str, str]) -> Dict[str, Any]:
    model = {"id": MANIFEST["name"], "path": str(HERE / MANIFEST["model"]["file"])}
    signature = MANIFEST["model"].get("signature")
    states = MANIFEST["model"].get("states", {})
    return {
        **({"signature": signature} if signature else {}),
        # Fed with what the model gave before, zeros at first.
        **({"states": {name: one["output"] for name, one in states.items()}} if states else {}),
        "schema": 1,
        "mode": mode,
        "runtime": runtime,
        "models": [model],
        "inputs": inputs,
        "preprocess": MANIFEST["preprocess"],
        "golden": {
            name: {"path": str(HERE / golden["file"]), "tolerance": golden["tolerance"]}
            for name, golden in MANIFEST["golden"]["outputs"].items()
        },
        "stop": BLOCKS,
    }


def golden_inputs() -> Dict[str, str]:
    return {name: str(HERE / file) for name, file in MANIFEST["golden"]["inputs"].items()}


def choose_runtime(wanted: str) -> str:
    """The runtime asked for, or the first of the target's that works here."""
    if wanted:
        return wanted
    problems = []
    for runtime in MANIFEST["runtimes"]:
        try:
            python_runner.RUNTIMES[runtime["name"]][0]()
        except python_runner.RuntimeMissing as error:
            problems.append(f"{runtime['name']}: {error}")
        else:
            return str(runtime["name"])
    raise python_runner.RuntimeMissing("no runtime works here\n  " + "\n  ".join(problems))


def run(asked: Dict[str, Any]) -> Dict[str, Any]:
    mode = python_runner.MODES[asked["mode"]]
    result = python_runner.handle(asked, lambda result: mode(asked, result))
    if "error" in result:
        raise RuntimeError(result["error"]["message"])
    print(f"{MANIFEST['name']} {MANIFEST['version']} on {result['runtime']} {result['version']}")
    answer: Dict[str, Any] = result["models"][MANIFEST["name"]]
    return answer


def selftest(runtime: str) -> int:
    asked = request("selftest", runtime, golden_inputs())
    if "streams" in MANIFEST["golden"]:
        asked["streams"] = MANIFEST["golden"]["streams"]
    answer = run(asked)
    for name, difference in answer["differences"].items():
        tolerance = MANIFEST["golden"]["outputs"][name]["tolerance"]
        print(f"output {name}: largest difference {difference:.3g}, tolerance {tolerance:.3g}")
    misnamed = misnamed_items()
    for item, wanted, name in misnamed:
        print(f"labels: golden item {item} is {wanted}, and would be called {name}")
    passed = answer["passed"] and not misnamed
    print(f"self-test {'passed' if passed else 'FAILED'} on {answer['items']} golden items")
    return 0 if passed else 1


def misnamed_items() -> List[Tuple[int, str, str]]:
    """The golden items that the labels call otherwise than the bundle's maker did."""
    golden = MANIFEST["golden"]
    if "answers" not in golden:
        return []
    scores = np.load(HERE / golden["outputs"][golden["answers"]["output"]]["file"])
    best = scores.reshape(len(scores), -1).argmax(axis=1)
    named = [
        (item, golden["answers"]["labels"][item], label(int(k))) for item, k in enumerate(best)
    ]
    return [one for one in named if one[1] != one[2]]


def label(number: int) -> str:
    """What a class is called; its number where it has no name."""
    labels: List[str] = MANIFEST["labels"]
    return labels[number] if number < len(labels) else str(number)


def bench(runtime: str) -> int:
    answer = run(request("bench", runtime, golden_inputs()))
    samples = np.concatenate([np.asarray(block) for block in answer["blocks_ns"]])
    p50, p95 = np.percentile(samples, [50, 95]) / 1e6
    print(
        f"load {answer['load_ns'] / 1e6:.2f} ms, first inference {answer['first_ns'] / 1e6:.3f} ms"
    )
    print(f"latency p50 {p50:.4f} ms, p95 {p95:.4f} ms over {len(samples)} runs, one thread")
    return 0


def read_items(path: str, shape: List[int]) -> Any:
    """Items ``[n, ...]`` from an ``.npy`` file; one alone may lack its first dimension."""
    items = np.load(path)
    if not isinstance(items, np.ndarray):
        raise RuntimeError("%s is an .npz: save its items alone, as an .npy" % path)
    if items.dtype.kind not in "biuf":
        raise RuntimeError("items are of dtype %s, not numbers" % items.dtype)
    if items.size == np.prod(shape):
        return items.reshape([1] + shape)
    if MANIFEST["preprocess"].get("signal"):
        items = read_samples(items, shape)
    if items.ndim and not len(items):
        raise RuntimeError("%s holds no items" % path)
    if not items.ndim or items[0].size != np.prod(shape):
        raise RuntimeError(
            "the array is shaped %s, the model takes items of %s" % (list(items.shape), shape)
        )
    return items


def read_samples(items: Any, shape: List[int]) -> Any:
    """Features for samples ``[n, samples]``, or of one item; what are features already stays."""
    samples = items[None] if items.ndim == 1 else items
    if samples.ndim != 2 or samples[0].size == np.prod(shape):
        return items
    import edgekit_signals

    signal = MANIFEST["preprocess"]["signal"]
    return np.stack([edgekit_signals.features(signal, item) for item in samples])


def read_pictures(paths: List[str], shape: List[int]) -> Any:
    """Items ``[n, ...]``, uint8, one from every picture."""
    preprocess = MANIFEST["preprocess"]
    spec = pictures.resolved(preprocess, shape)
    if "color" not in preprocess:
        print(
            "note: this model was measured on arrays, not on pictures: pixels are 0 to 255 before"
            " the manifest's scale (%s) and offset (%s)"
            % (preprocess.get("scale", 1.0), preprocess.get("offset", 0.0)),
            file=sys.stderr,
        )
    items = []
    for path in paths:
        item = pictures.read(path, spec)
        if item.size != np.prod(shape):
            raise RuntimeError(
                "%s becomes %s, the model takes items of %s" % (path, list(item.shape), shape)
            )
        items.append(item.reshape(shape))
    return np.stack(items)


def read_sounds(paths: List[str], shape: List[int]) -> Any:
    """Items ``[n, ...]`` of features, those of one sound after those of another."""
    signal = MANIFEST["preprocess"].get("signal")
    if signal is None:
        raise RuntimeError(
            "%s is a sound, and the manifest says no features of samples (preprocess.signal)"
            % paths[0]
        )
    import sounds

    read = [read_samples(sounds.read(path, signal, shape), shape) for path in paths]
    return np.concatenate(read).reshape([-1] + shape)


def read_files(paths: List[str], shape: List[int]) -> Any:
    """The items of one ``.npy`` file, or of pictures, or of sounds."""
    if all(path.lower().endswith(".wav") for path in paths):
        return read_sounds(paths, shape)
    if all(pictures.is_picture(path) for path in paths):
        return read_pictures(paths, shape)
    if len(paths) > 1:
        raise RuntimeError("classify takes one .npy file, or pictures alone, or .wav files alone")
    if Path(paths[0]).suffix.lower() not in ("", ".npy", ".npz"):
        known = ", ".join(pictures.SUFFIXES)
        raise RuntimeError("%s is not a .npy file, a .wav or a picture (%s)" % (paths[0], known))
    return read_items(paths[0], shape)


def only_input(command: str) -> Tuple[str, List[int]]:
    """The one input's name, and the shape of an item."""
    states = MANIFEST["model"].get("states", {})
    inputs = [name for name in MANIFEST["model"]["inputs"] if name not in states]
    if len(inputs) != 1:
        raise RuntimeError("%s takes models of one input; this one has %d" % (command, len(inputs)))
    shape: List[int] = MANIFEST["model"]["inputs"][inputs[0]]["shape"]
    return inputs[0], shape[1:]


def main_output() -> str:
    """The output that scores the labels, or the first that is not a state."""
    golden = MANIFEST["golden"]
    if "answers" in golden:
        return str(golden["answers"]["output"])
    states = {state["output"] for state in MANIFEST["model"].get("states", {}).values()}
    return str(next(name for name in golden["outputs"] if name not in states))


def recorder_of(folder: str, raw_items: int) -> Optional[records.Recorder]:
    """What counts for `edgekit monitor`; none where nobody asked for it."""
    if raw_items < 0 or (raw_items and not folder):
        raise RuntimeError("--raw-items N keeps N items beside the records of --record FOLDER")
    if not folder:
        return None
    if not (HERE / "monitoring.json").is_file():
        raise RuntimeError("this bundle has no monitoring.json: it was made without data")
    golden = json.loads((HERE / "monitoring.json").read_text(encoding="utf-8"))
    raw = raw_sample.RawItems(golden, folder, raw_items) if raw_items else None
    return records.Recorder(golden, folder, raw=raw)


def watch(runtime: str, paths: List[str], top: int, recorder: Optional[records.Recorder]) -> int:
    if len(paths) != 1 or not Path(paths[0]).is_dir():
        raise RuntimeError("watch takes one folder that is there: python app.py watch FOLDER")
    name, shape = only_input("watch")
    asked = request("watch", runtime, golden_inputs())
    asked.update({k: v for k, v in MANIFEST["golden"].items() if k == "streams"})
    stream = folder_watch.Stream(asked, name, main_output(), recorder)
    try:
        folder_watch.watch(
            stream, Path(paths[0]), lambda path: read_files([path], shape), label, top
        )
    finally:
        if recorder is not None:
            recorder.close()
    return 0


def classify(runtime: str, paths: List[str], top: int, recorder: Optional[records.Recorder]) -> int:
    name, shape = only_input("classify")
    items = read_files(paths, shape)
    with tempfile.TemporaryDirectory() as folder:
        shaped = str(Path(folder) / "items.npy")
        np.save(shaped, items)
        asked = request("classify", runtime, {name: shaped})
        job = python_runner.Job(asked, asked["models"][0])
        began = time.perf_counter_ns()
        answers = job.answers(job.model, 0, len(items))
        elapsed = time.perf_counter_ns() - began
    if recorder is not None:
        # One time, of all of them: copies of it would pass for as many.
        recorder.add({name: items}, answers, [elapsed // len(items)])
        recorder.close()
    scores = answers[main_output()].reshape(len(items), -1)
    for number, row in enumerate(scores):
        best = np.argsort(-row, kind="stable")[:top]
        shown = ", ".join(f"{label(int(k))} {row[k]:.3f}" for k in best)
        print(f"item {number}: {shown}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("command", choices=["selftest", "classify", "bench", "watch"])
    parser.add_argument(
        "items",
        nargs="*",
        help="an .npy file, pictures or .wav files to classify, or a folder to watch",
    )
    names = [runtime["name"] for runtime in MANIFEST["runtimes"]]
    parser.add_argument("--runtime", default="", choices=names, help="default: what works here")
    parser.add_argument("--top", type=int, default=3, help="how many classes to print")
    parser.add_argument(
        "--record", default="", metavar="FOLDER", help="count for `edgekit monitor`: no items"
    )
    parser.add_argument(
        "--raw-items",
        default=0,
        type=int,
        metavar="N",
        help="keep a sample of N items beside the records: they may hold personal data",
    )
    arguments = parser.parse_args()
    try:
        recorder = recorder_of(arguments.record, arguments.raw_items)
        runtime = choose_runtime(arguments.runtime)
        if arguments.command == "classify":
            if not arguments.items:
                parser.error("classify needs an .npy file, pictures or .wav files")
            return classify(runtime, arguments.items, arguments.top, recorder)
        if arguments.command == "watch":
            return watch(runtime, arguments.items, arguments.top, recorder)
        return {"selftest": selftest, "bench": bench}[arguments.command](runtime)
    except (RuntimeError, OSError, ValueError, python_runner.RuntimeMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
