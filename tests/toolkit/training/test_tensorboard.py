"""The real TensorBoard reads what a watched training leaves: every tab has its data over HTTP."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once

pytestmark = pytest.mark.slow

SCRIPT = """
import gzip, json, os, sys, time, urllib.parse, urllib.request
from pathlib import Path
import keras, numpy as np, tensorflow as tf, tf_keras
from edgekit.training.watch.batch import take
from edgekit.training.watch.callbacks import callbacks
from edgekit.training.watch.settings import Settings

folder = Path(sys.argv[1])
K = {"keras": keras, "tf_keras": tf_keras}[sys.argv[2]]
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
y = rng.integers(0, 4, 320)
x = rng.uniform(size=(320, 12, 12, 1)).astype("float32")
for number, label in enumerate(y):
    x[number, 3 * label : 3 * label + 3] += 1
L = K.layers
model = K.Sequential([
    K.Input((12, 12, 1)), L.Conv2D(4, 3, activation="relu", name="conv"), L.Flatten(),
    L.Dense(8, activation="relu", name="embedding"), L.Dense(4, name="out"),
])
loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(K.optimizers.Adam(1e-2), loss, metrics=["accuracy"], jit_compile=False)
train = tf.data.Dataset.from_tensor_slices((x[:256], y[:256])).batch(16)
held = tf.data.Dataset.from_tensor_slices((x[256:], y[256:])).batch(16)
settings = Settings(every=4, share=1.0, profile=3, hyperparameters={"batch_size": 16})
model.fit(train, validation_data=held, epochs=3, verbose=0, callbacks=callbacks(
    model, settings, folder / "logs" / "first", take(train, 64), take(held, 64)))

from tensorboard import program
server = program.TensorBoard()
server.configure(argv=[None, "--logdir", str(folder / "logs"), "--port", "0", "--host",
                       "127.0.0.1", "--load_fast", "false", "--reload_interval", "1"])
url = server.launch().rstrip("/")

def get(path, body=None, **query):
    address = f"{url}/data/{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        content, kind = answer.read(), answer.headers["Content-Type"]
        if answer.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
    return json.loads(content) if "json" in kind else content

def plugin(path, **query):
    return get(f"plugin/{path}", **query)

deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    tags = plugin("scalars/tags")
    if "loss" in tags.get("first/validation", {}) and plugin("images/tags"):
        break
    time.sleep(0.2)
train, held = "first/train", "first/validation"
info = plugin("projector/info", run=held)
(embedding,) = info["embeddings"]
name = embedding["tensorName"]
images = plugin("images/images", run=held, tag="worst", sample=0)
status = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
groups = get("plugin/hparams/session_groups", {
    "experimentName": "", "allowedStatuses": status, "colParams": [], "startIndex": 0,
    "sliceSize": 10})
facts = {
    "scalars": {run: sorted(found) for run, found in plugin("scalars/tags").items()},
    "loss": [row[1:] for row in plugin("scalars/scalars", run=train, tag="loss")],
    "graph": plugin("graphs/graph", run=train, conceptual="false").decode()[:200000],
    "histograms": sorted(plugin("histograms/tags")[train]),
    "histogram": plugin("histograms/histograms", run=train, tag="gradients/conv/kernel"),
    "distribution": plugin("distributions/distributions", run=train, tag="weights/out/bias"),
    "image": list(plugin("images/individualImage?" + images[0]["query"])[:4]),
    "images": len(images),
    "curve": plugin("pr_curves/pr_curves", run=held, tag="class_0"),
    "tensor": len(plugin("projector/tensor", run=held, name=name)), "name": name,
    "metadata": plugin("projector/metadata", run=held, name=name).decode().splitlines()[:2],
    "sprite": list(plugin("projector/sprite_image", run=held, name=name)[:4]),
    "hparams": groups["sessionGroups"][0]["hparams"],
    "status": groups["sessionGroups"][0]["sessions"][0]["status"],
    "profile": [path.name for path in (folder / "logs").rglob("*.xplane.pb")],
}
if "profile" in sys.argv[3:]:
    # Its server reads the profile with XLA's own tools, and answers with the page's data.
    (run,) = plugin("profile/runs")
    tools = plugin("profile/run_tools", run=run)
    (host,) = plugin("profile/hosts", run=run, tag="overview_page")
    overview = plugin("profile/data", run=run, tag="overview_page", host=host["hostname"])
    facts["overview"] = [run, sorted(tools), json.dumps(overview)[:20000]]
(folder / "facts.json").write_text(json.dumps(facts))
if hold := os.environ.get("EDGEKIT_HOLD"):
    print(url, flush=True)
    Path(hold).write_text(url)
    time.sleep(200)
"""


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def board(request: pytest.FixtureRequest, shared: Path) -> dict[str, Any]:
    """What the real server says of a training's logs."""
    plugins = ["profile"] if find_spec("tensorboard_plugin_profile") else []

    def make(part: Path) -> None:
        tensorflow_script(SCRIPT, part, request.param, *plugins)

    folder = once(shared / f"board-{request.param}", make)
    found: dict[str, Any] = json.loads(Path(folder / "facts.json").read_text())
    return found


def test_scalars_of_training_and_validation_share_a_chart(board: dict[str, Any]) -> None:
    train = board["scalars"]["first/train"]
    assert {"loss", "accuracy"} <= set(board["scalars"]["first/validation"])
    assert {"loss", "accuracy", "learning_rate", "steps_per_second", "sparsity"} <= set(train)
    assert [step for step, _ in board["loss"]] == [16, 32, 48]
    assert board["loss"][-1][1] < board["loss"][0][1]


def test_the_graph_is_the_one_that_tensorflow_traced(board: dict[str, Any]) -> None:
    assert 'op: "Conv2D"' in board["graph"]
    assert "conv" in board["graph"]
    assert "MatMul" in board["graph"]


def test_histograms_and_distributions_have_weights_and_gradients(board: dict[str, Any]) -> None:
    kernels = {f"{kind}/conv/kernel" for kind in ("weights", "gradients")}
    assert kernels <= set(board["histograms"])
    assert len(board["histogram"]) > 5
    # The kernel of 3 x 3 x 1 x 4.
    assert sum(bucket[2] for bucket in board["histogram"][-1][2]) == 36
    assert len(board["distribution"]) > 5


def test_worst_items_are_pictures(board: dict[str, Any]) -> None:
    assert board["images"] >= 1
    assert bytes(board["image"]) == b"\x89PNG"


def test_curves_have_a_precision_for_the_thresholds_that_something_passes(
    board: dict[str, Any],
) -> None:
    last = board["curve"]["first/validation"][-1]
    assert 40 < len(last["precision"]) == len(last["recall"]) <= 51
    assert max(last["recall"]) == 1.0


def test_the_projector_reads_vectors_labels_and_pictures(board: dict[str, Any]) -> None:
    assert board["name"] == "embedding"
    assert board["tensor"] == 64 * 8 * 4
    assert board["metadata"][0] == "label\tprediction"
    assert bytes(board["sprite"]) == b"\x89PNG"


def test_runs_are_compared_by_their_hyperparameters(board: dict[str, Any]) -> None:
    assert board["hparams"]["batch_size"] == 16
    assert board["hparams"]["optimizer"] == "Adam"
    assert board["status"] == "STATUS_SUCCESS"


def test_the_profile_of_some_steps_is_left_for_its_plugin(board: dict[str, Any]) -> None:
    assert len(board["profile"]) == 1


def test_the_profile_is_read_by_its_plugin(board: dict[str, Any]) -> None:
    if "overview" not in board:
        pytest.skip("TensorBoard's plugin is in the extra 'profile', of 156 MB")
    run, tools, overview = board["overview"]
    assert run.startswith("first/train/")
    assert {"overview_page", "trace_viewer"} <= {tool.split("@")[0] for tool in tools}
    assert "step" in overview
