"""Ask the model of this bundle where TensorFlow Serving serves it, over REST.

    python3 client.py check
    python3 client.py predict items.npy
    python3 client.py --url http://host:8501 check

``check`` sends the golden items and compares the answers: exit code 1 where one is off. ``predict``
prints the outputs of raw items, one JSON line each. Needs Python 3.10 or later, and nothing else.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import struct
import sys
import urllib.error
import urllib.request
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MANIFEST: dict[str, Any] = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
SERVING: dict[str, Any] = json.loads((HERE / "serving.json").read_text(encoding="utf-8"))
CODES = {"f2": "e", "f4": "f", "f8": "d", "b1": "?"}
CODES |= {"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
SECONDS = 60


class Wrong(Exception):
    """What the user is told instead of a traceback."""


def read_npy(path: Path) -> list[list[Any]]:
    """Return the flat values of each item of an ``.npy`` file."""
    data = path.read_bytes()
    if data[:6] != b"\x93NUMPY":
        raise Wrong(f"{path} is not a .npy file")
    start, form = (10, "<H") if data[6] == 1 else (12, "<I")
    end = start + int(struct.unpack_from(form, data, 8)[0])
    header = ast.literal_eval(data[start:end].decode("latin1"))
    code = CODES.get(str(header["descr"])[1:])
    if code is None or header["fortran_order"] or not header["shape"]:
        raise Wrong(f"{path}: save the items as numbers, in C order: {header}")
    order = ">" if str(header["descr"]).startswith(">") else "<"
    count, size = header["shape"][0], math.prod(header["shape"][1:])
    values = struct.unpack_from(f"{order}{count * size}{code}", data, end)
    return [list(values[k * size : (k + 1) * size]) for k in range(count)]


def encode(raw: Sequence[Any], tensor: dict[str, Any]) -> list[Any]:
    """Return raw values as the model's input takes them: ``raw * factor + offset`` in float32."""
    factors, offsets, stride = tensor["factors"], tensor["offsets"], tensor["channel_stride"]
    if any(factor != 1 for factor in factors) or any(offsets):
        channels = [k // stride % len(factors) for k in range(len(raw))]
        # A product or sum of two float32 in double precision, rounded, is that in float32.
        scaled = array(
            "f", (v * factors[c] for v, c in zip(array("f", raw), channels, strict=True))
        )
        raw = array("f", (v + offsets[c] for v, c in zip(scaled, channels, strict=True)))
    if tensor["dtype"].startswith(("int", "uint")):
        return [int(value) for value in raw]
    return [bool(v) for v in raw] if tensor["dtype"] == "bool" else list(map(float, raw))


def nested(values: Sequence[Any], shape: Sequence[int]) -> Any:
    """Return flat values as nested lists."""
    if not shape:
        return values[0]
    size = len(values) // shape[0]
    return [nested(values[k * size : (k + 1) * size], shape[1:]) for k in range(shape[0])]


def flat(value: Any) -> list[float]:
    """Return nested lists as flat values."""
    if isinstance(value, list):
        return [one for inner in value for one in flat(inner)]
    return [float(value)]


def ask(url: str, path: str, body: Any = None) -> Any:
    """Return what the server answers: a GET, or a POST of ``body``."""
    data = None if body is None else json.dumps(body).encode()
    if not url.startswith(("http://", "https://")):
        raise Wrong(f"{url} is not an address of a server: http://HOST:8501")
    request = urllib.request.Request(url.rstrip("/") + path, data)  # noqa: S310  (checked)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        told = error.read().decode(errors="replace")[:500]
        raise Wrong(f"{request.full_url} answers {error.code}: {told}") from error
    except (OSError, ValueError) as error:
        raise Wrong(f"{request.full_url} does not answer: {error}") from error


def available(url: str) -> None:
    """Raise where the server has not loaded this bundle's version of the model."""
    name, number = SERVING["name"], SERVING["version"]
    told = ask(url, f"/v1/models/{name}/versions/{number}")
    states = [one["state"] for one in told["model_version_status"]]
    if states != ["AVAILABLE"]:
        raise Wrong(f"version {number} of {name} is not served: {json.dumps(told)}")


def predict(url: str, items: dict[str, Sequence[Any]]) -> dict[str, list[float]]:
    """Return the outputs of one raw item, flat, by name."""
    inputs = {}
    for tensor in SERVING["inputs"]:
        raw, shape = items[tensor["name"]], tensor["shape"]
        if len(raw) != math.prod(shape):
            raise Wrong(f"input {tensor['name']}: {len(raw)} values, the model takes {shape}")
        inputs[tensor["name"]] = nested(encode(raw, tensor), [1, *shape])
    path = f"/v1/models/{SERVING['name']}/labels/{SERVING['label']}:predict"
    outputs = ask(url, path, {"signature_name": SERVING["signature"], "inputs": inputs})["outputs"]
    names = SERVING["outputs"]
    # The server leaves the name out where there is one output only.
    named = outputs if isinstance(outputs, dict) else {names[0]: outputs}
    return {name: flat(named[name]) for name in names}


def difference(answer: Sequence[float], wanted: Sequence[float]) -> float:
    """Return how far off an answer is at most; infinitely where it is of another size or NaN."""
    if len(answer) != len(wanted):
        return math.inf
    apart = [0.0 if a == b else abs(a - b) for a, b in zip(answer, wanted, strict=True)]
    return math.inf if any(map(math.isnan, apart)) else max(apart, default=0.0)


def check(url: str) -> int:
    """Send the golden items; tell how far off the answers are, and whether they pass."""
    available(url)
    golden = MANIFEST["golden"]
    inputs = {name: read_npy(HERE / file) for name, file in golden["inputs"].items()}
    wanted = {name: read_npy(HERE / one["file"]) for name, one in golden["outputs"].items()}
    count = len(next(iter(inputs.values())))
    answers = [predict(url, {name: v[k] for name, v in inputs.items()}) for k in range(count)]
    print(f"{MANIFEST['name']} {MANIFEST['version']}, version {SERVING['version']} at {url}")
    passed = True
    for name, outputs in wanted.items():
        tolerance = golden["outputs"][name]["tolerance"]
        off = max(difference(a[name], w) for a, w in zip(answers, outputs, strict=True))
        passed &= off <= tolerance
        print(f"output {name}: largest difference {off:.3g}, tolerance {tolerance:.3g}")
    for k, (told, right) in enumerate(misnamed(answers)):
        if told != right:
            passed = False
            print(f"labels: golden item {k} is {right}, and would be called {told}")
    print(f"check {'passed' if passed else 'FAILED'} on {count} golden items")
    return 0 if passed else 1


def misnamed(answers: Sequence[dict[str, list[float]]]) -> list[tuple[str, str]]:
    """Return what each golden item's best class is called, and what it should be."""
    told = MANIFEST["golden"].get("answers")
    if not told:
        return []
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    scores = [answer[told["output"]] for answer in answers]
    best = [one.index(max(one)) for one in scores]
    named = [labels[k] if k < len(labels) else str(k) for k in best]
    return list(zip(named, told["labels"], strict=True))


def predict_file(url: str, path: Path) -> int:
    """Print the outputs of the items in a file."""
    if len(SERVING["inputs"]) != 1:
        raise Wrong("the model has several inputs: call predict() with an item of each")
    for item in read_npy(path):
        print(json.dumps(predict(url, {SERVING["inputs"][0]["name"]: item})))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask the model over TensorFlow Serving's REST.")
    parser.add_argument("--url", default="http://localhost:8501")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("check", help="send the golden items and compare the answers")
    verb = verbs.add_parser("predict", help="print the outputs of raw items")
    verb.add_argument("items", type=Path, help="an .npy file of raw items, items first")
    asked = parser.parse_args()
    try:
        if asked.verb == "check":
            return check(asked.url)
        return predict_file(asked.url, asked.items)
    except (Wrong, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
