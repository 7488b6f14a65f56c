"""The bundle for TensorFlow Serving: the SavedModel under its version, configurations, a client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from packaging.version import InvalidVersion, Version

from edgekit.errors import BundleDoesNotSuit
from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.contents import Contents
from edgekit.targets.bundles.linux_python import distribution
from edgekit.targets.bundles.processing.spec import Spec, spec_of
from edgekit.targets.bundles.tf_serving_warmup import PLACE, Arrays, warmup_file
from edgekit.targets.catalog import Target
from edgekit.targets.runners.python_runner import TensorInfo, encode

APP = FOLDER / "tf_serving"
# What each of the app's files is called in the bundle.
FILES = {
    "Dockerfile": "Dockerfile",
    "models.config": "models.config",
    "monitoring.config": "monitoring.config",
    "deployment.yaml": "kubernetes/deployment.yaml",
    "service.yaml": "kubernetes/service.yaml",
    "client.py": "client.py",
}
IMAGE = "tensorflow/serving"
SIGNATURE, LABEL = "serving_default", "stable"
# Names of Kubernetes are labels of DNS.
LONGEST_NAME = 63
LARGEST_NUMBER = 2**63 - 1

README = """# {name} {version} for {title}

    docker build -t {served}:{number} .
    docker run --rm -p 8501:8501 {served}:{number}
    python3 client.py check                # Python 3.10 or later, nothing else

`check` sends the golden items over REST and compares the answers. Your own items, in an `.npy` file:

    python3 client.py predict items.npy

The client sends raw items: it rescales them as `manifest.json` says. The server takes what the model
takes: `POST /v1/models/{served}/labels/stable:predict`, one item a request (signature
`serving_default`).{batched}

On Kubernetes, push the image to where the cluster finds it, write its name into
`kubernetes/deployment.yaml`, then:

    kubectl apply -f kubernetes/
    kubectl port-forward service/{served} 8501 &
    python3 client.py check

| file | what |
| --- | --- |
| `models/{served}/{number}/` | **what is served**: the SavedModel, with a warm-up request in `assets.extra/` |
| `models.config` | version {number} of the model, labelled `stable` |
| `monitoring.config` | metrics for Prometheus at `/monitoring/prometheus/metrics` |
| `Dockerfile`, `kubernetes/` | the image over `{image}:{tag}`; a Deployment with probes, a Service |
| `client.py`, `serving.json` | the client; what the model is called and takes |
| `model.tflite` | the {precision} file made of this SavedModel, which edgekit measured; it is not served |
| `golden/` | raw items, and what `model.tflite` gave for them on LiteRT |
| `manifest.json` | inputs, outputs, preprocessing, labels, and what was measured |

The golden outputs are LiteRT's: TensorFlow's may differ by the manifest's tolerance, and by no more.
TF Serving calls versions by whole numbers: {version} is {number} here.{unknown} The image was not
built, and no server was started, where this bundle was made.
{notes}"""  # noqa: E501

BATCHED = " `evaluate` takes several items at once."
UNKNOWN = (
    " A version that is not MAJOR.MINOR.PATCH is 1: raise it in the folder and configurations."
)


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle.

    Raises :class:`BundleDoesNotSuit` where there is no SavedModel that the golden outputs tell of.
    """
    folder = _saved_model(contents)
    served, number = served_name(contents.name), version_number(contents.version)
    tag = next((one.version for one in target.runtimes if one.package == IMAGE), "latest")
    below = f"models/{served}/{number}"
    spec = spec_of(contents)
    saved = {
        f"{below}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    marks = {"@NAME@": served, "@NUMBER@": str(number), "@TAG@": tag}
    filled = {place: _filled(APP / name, marks).encode() for name, place in FILES.items()}
    words = {
        "name": contents.name,
        "version": contents.version,
        "title": target.title,
        "served": served,
        "number": number,
        "image": IMAGE,
        "tag": tag,
        "precision": contents.precision,
        "batched": BATCHED if b"evaluate" in saved[f"{below}/saved_model.pb"] else "",
        "unknown": UNKNOWN if number == 1 else "",
        "notes": "".join(f"\n- {note}." for note in target.notes) + "\n",
    }
    return {
        **saved,
        f"{below}/{PLACE}": warmup_file(served, SIGNATURE, _first_item(contents)),
        **filled,
        "serving.json": _facts(contents, spec, served, number).encode(),
        "README.md": README.format(**words).encode(),
    }


def served_name(name: str) -> str:
    """Return a model's name as addresses and Kubernetes take it."""
    label = distribution(name)
    label = label if label[0].isalpha() else f"model-{label}"
    return label[:LONGEST_NAME].rstrip("-")


def version_number(version: str) -> int:
    """Return a version as the number that orders it in TF Serving: 1.2.3 is 1002003, others 1."""
    try:
        release = Version(version).release
    except InvalidVersion:
        return 1
    major, minor, patch = (*release, 0, 0)[:3]
    number = major * 1_000_000 + minor * 1000 + patch
    ordered = len(release) <= 3 and max(minor, patch) < 1000 and number <= LARGEST_NUMBER
    return max(number, 1) if ordered else 1


def _saved_model(contents: Contents) -> Path:
    if contents.saved_model is None:
        reason = "what it is made of has no SavedModel"
        hint = "run edgekit convert --target tf-serving of the Keras model or SavedModel"
    elif contents.precision != "float32":
        reason = f"its golden outputs are those of {contents.precision}, the SavedModel is float32"
        hint = "edgekit convert --target tf-serving --precision float32, then edgekit bundle"
    elif contents.states or contents.golden.streams:
        reason = "the model keeps a state, which requests of several clients would share"
        hint = "take a linux-python bundle: edgekit bundle --target linux-x86_64"
    else:
        return contents.saved_model
    message = f"{contents.name} has no bundle for TensorFlow Serving: {reason}"
    raise BundleDoesNotSuit("EK-BUNDLE-027", message, hint)


def _filled(path: Path, marks: Mapping[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def _first_item(contents: Contents) -> Arrays:
    """Return the first golden item as the model takes it."""
    feeds = {}
    for tensor in contents.inputs:
        raw = np.asarray(contents.golden.inputs[tensor.name][:1])
        info = TensorInfo(0, raw.shape, tensor.dtype, 0.0, 0)
        feeds[tensor.name] = np.asarray(encode(raw, info, contents.preprocess.facts))
    return feeds


def _facts(contents: Contents, spec: Spec, served: str, number: int) -> str:
    """Return what the client must know of the model besides the manifest."""
    dtypes = {one.name: one.dtype for one in contents.inputs}
    inputs = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "dtype": dtypes[tensor.name],
            "factors": list(tensor.factors),
            "offsets": list(tensor.offsets),
            "channel_stride": tensor.channel_stride,
        }
        for tensor in spec.inputs
    ]
    facts = {
        "name": served,
        "version": number,
        "label": LABEL,
        "signature": SIGNATURE,
        "inputs": inputs,
        "outputs": [one.name for one in spec.outputs],
    }
    return json.dumps(facts, indent=2) + "\n"
