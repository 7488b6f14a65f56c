"""Spread over devices or processes, a training is that of one process, and survives its deaths."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributing import OWN, STEPS, prepare, settings, training
from forking import tensorflow_script

from conftest import EDGEKIT, once
from edgekit.loopback import free_port
from edgekit.process import Limits
from edgekit.project.train import TrainTable
from edgekit.training import cluster
from edgekit.training.distribution.place import Place
from edgekit.training.members import serve_member, train_member
from edgekit.training.state import State, StateFolder
from edgekit.training.watch.events import read
from edgekit.training.watch.settings import Settings, Watching
from edgekit.worker import Worker

TESTS = Path(__file__).parents[2]
# Who is killed, and after which step.
WORKER_DIES, CHIEF_DIES = ("worker 1", 9), ("worker 0", 18)
PROJECT = """
schema = 1
[model]
name = "spread"
source = "model.py:keras3"
[data]
train = "train.npz"
[train]
strategy = "multi_worker"
workers = 2
epochs = 2
"""
ALONE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from distributing import OWN, training, settings
from edgekit.training.distribution.place import Place
from edgekit.training.members import train_member
from edgekit.training.watch.settings import Settings, Watching
folder, function, strategy, *own = Path(sys.argv[2]), *sys.argv[3:]
more = {} if strategy == "default" else {"replicas": 2}
more |= OWN if own else {}
table = settings(strategy, **more)
partial = folder / "-".join((function, strategy, *own))
logs = partial / "logs"
watching = Watching(Settings(every=5, share=1.0), logs) if more else None
training, source = training(folder), f"model.py:{function}"
found = train_member(source, folder, training, partial, table, Place(), watching=watching)
assert not found["alarms"], found
if watching:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(logs / "train"))
    events.Reload()
    (partial / "tags").write_text("\\n".join(events.Tags()["tensors"]))
"""


def state(folder: Path) -> State:
    """The last state of a training."""
    found, notices = StateFolder(folder / "states").last()
    assert found is not None
    assert not notices
    return found


def furthest(one: State, other: State) -> float:
    """The largest difference between two trainings' models and optimizers."""
    assert one.step == other.step == STEPS
    held = [name for name in one.arrays if not name.startswith("metric/")]
    assert len(held) > 10
    return max(float(np.abs(one.arrays[n] - other.arrays[n]).max()) for n in held)


@pytest.fixture(scope="session")
def alone(shared: Path) -> Path:
    """A folder with the data, and the states of trainings in one process, by function."""

    def make(folder: Path) -> None:
        prepare(folder)
        for function in ("keras3", "keras2"):
            tensorflow_script(ALONE, TESTS, folder, function, "default")

    return once(shared / "alone", make)


def members(folder: Path, function: str, table: TrainTable, started: dict[str, Worker]) -> Any:
    """What makes the processes that train a function's model, and notes them by name."""
    data = training(folder)

    def made(places: Sequence[Place]) -> list[cluster.Member]:
        return [one(place) for place in places]

    def one(place: Place) -> cluster.Member:
        log = folder / f"{function}-{place.task}-{place.index}.txt"

        def start() -> Worker:
            started[place.name] = Worker(log, None, Limits())
            return started[place.name]

        serving = table.strategy == "parameter_server"
        serves = serving and place.task != "chief"

        def work(worker: Worker) -> Any:
            if serves:
                worker.call(serve_member, place)
            partial = folder / f"{function}-{table.strategy}"
            logs = folder / f"logs-{place.index}"
            watched = Watching(Settings(every=2, share=1.0), logs) if not serving else None
            source = f"model.py:{function}"
            return worker.call(
                train_member, source, folder, data, partial, table, place, watching=watched
            )

        return cluster.Member(place, log, start, work, serves)

    return made


@pytest.mark.slow
@pytest.mark.parametrize("function", ["keras3", "keras2"])
@pytest.mark.parametrize("own", [(), ("own",)], ids=["fit", "own"])
def test_mirrored_on_two_devices_ends_as_one_process(
    alone: Path, function: str, own: tuple[str, ...]
) -> None:
    tensorflow_script(ALONE, TESTS, alone, function, "mirrored", *own)
    folder = alone / "-".join((function, "mirrored", *own))
    one, two = state(alone / f"{function}-default"), state(folder)
    assert furthest(one, two) < 1e-5
    assert two.memory["rows"][-1]["val_loss"] == pytest.approx(one.memory["rows"][-1]["val_loss"])
    if own:
        _figures_are_of_all_items(one, two)
    # It was watched, one process was not.
    tags = (folder / "tags").read_text().splitlines()
    assert any(tag.startswith("gradients/conv2d/kernel") for tag in tags), tags


def _figures_are_of_all_items(of_one: State, of_two: State) -> None:
    """The figures that an own step returns, beside those of Keras's in one process."""
    for row, other in zip(of_two.memory["rows"], of_one.memory["rows"], strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-5)
        # Parts have 16 items, and those of the last batch of an epoch 10 and 11.
        assert row["items"] == pytest.approx((192 * 16 + 10 * 10 + 11 * 11) / 213)


@pytest.mark.slow
@pytest.mark.parametrize("own", [{}, OWN], ids=["fit", "own"])
def test_killed_workers_end_with_the_bits_of_those_that_were_not(
    alone: Path, tmp_path: Path, own: dict[str, str]
) -> None:
    whole_folder, killed_folder = tmp_path / "whole", tmp_path / "killed"
    whole_folder.mkdir()
    prepare(whole_folder)
    table = settings("multi_worker", workers=2, **own)
    done = cluster.together(members(whole_folder, "keras3", table, {}), table)
    assert not done.deaths
    first, second = done.results
    assert first["weights"] == second["weights"]
    whole = state(whole_folder / "keras3-multi_worker")
    _is_of_one_process(whole, alone, "keras3")
    if own:
        _figures_are_of_all_items(state(alone / "keras3-default"), whole)
    _only_the_chief_has_logs(whole_folder)
    # With an own step what is done again is the same: the death of the chief is enough.
    kills = (CHIEF_DIES,) if own else (WORKER_DIES, CHIEF_DIES)
    after = _killed(killed_folder, "keras3", kills, **own)
    assert all((after.arrays[n] == whole.arrays[n]).all() for n in whole.arrays)
    # The sums behind the figures of an epoch are put together in another order.
    for row, other in zip(after.memory["rows"], whole.memory["rows"], strict=True):
        assert row == pytest.approx(other, rel=1e-5)


@pytest.mark.slow
def test_killed_workers_of_tf_keras_end_as_one_process(alone: Path, tmp_path: Path) -> None:
    _is_of_one_process(_killed(tmp_path / "killed", "keras2", (CHIEF_DIES,)), alone, "keras2")
    _only_the_chief_has_logs(tmp_path / "killed")


def _only_the_chief_has_logs(folder: Path) -> None:
    events = {run: read(folder / "logs-0" / run) for run in ("train", "validation")}
    values = [(e.step, v.tag) for e in events["train"] for v in e.summary.value]
    assert len(values) == len(set(values))
    tags = {tag for _, tag in values}
    assert {"loss", "learning_rate", "sparsity", "steps_per_second"} <= tags
    for kind in ("weights", "gradients", "gradient_norm"):
        assert f"{kind}/conv2d/kernel" in tags, tags
    assert max(step for step, tag in values if tag == "gradients/conv2d/kernel") == STEPS
    assert sum(bool(event.graph_def) for event in events["train"]) == 1
    held = [(e.step, v.tag) for e in events["validation"] for v in e.summary.value]
    assert sum(tag == "loss" for _, tag in held) == 4
    assert {"worst", "class_9"} <= {tag for _, tag in held}
    assert (folder / "logs-0" / "validation" / "tensors.tsv").is_file()
    assert not (folder / "logs-1").exists()


@pytest.mark.slow
@pytest.mark.parametrize("function", ["diverging3", "diverging2"])
def test_fault_is_told_by_the_chief_and_ends_all_workers_with_the_same_weights(
    tmp_path: Path, function: str
) -> None:
    prepare(tmp_path)
    table = settings("multi_worker", workers=2)
    done = cluster.together(members(tmp_path, function, table, {}), table)
    assert not done.deaths
    first, second = done.results
    assert first["weights"] == second["weights"]
    told = {alarm["code"]: alarm["message"] for alarm in first["alarms"]}
    assert set(told) == {"EK-NOTE-202", "EK-NOTE-204"}, told
    assert "far/kernel" in told["EK-NOTE-202"]
    assert "training ends, and the weights of step" in told["EK-NOTE-204"]
    assert second["alarms"] == first["alarms"]
    after = state(tmp_path / f"{function}-multi_worker")
    assert after.step < STEPS
    assert all(np.isfinite(after.arrays[n]).all() for n in after.arrays if "model/" in n)


def _is_of_one_process(of_two: State, alone: Path, function: str) -> None:
    one = state(alone / f"{function}-default")
    assert furthest(one, of_two) < 1e-5
    assert of_two.memory["best"]["epoch"] == one.memory["best"]["epoch"]


def _killed(folder: Path, function: str, kills: Sequence[tuple[str, int]], **own: str) -> State:
    """Kill workers in mid-epoch, one after the other: what the training comes to."""
    folder.mkdir()
    prepare(folder)
    table, started = settings("multi_worker", workers=2, **own), {}
    killed: list[str] = []

    def kill() -> None:
        for name, step in kills:
            while newest(folder / f"{function}-multi_worker" / "states") < step:
                time.sleep(0.01)
            os.kill(started[name].pid, signal.SIGKILL)
            killed.append(name)

    threading.Thread(target=kill, daemon=True).start()
    done = cluster.together(members(folder, function, table, started), table)
    assert killed == [name for name, _ in kills]
    assert [death.partition(" of")[0] for death in done.deaths] == killed
    assert "SIGKILL" in done.deaths[0]
    first, second = done.results
    assert first["resumed"] >= 18
    assert first["weights"] == second["weights"]
    return state(folder / f"{function}-multi_worker")


@pytest.mark.slow
def test_processes_of_a_cluster_train_together_where_the_environment_says_so(
    tmp_path: Path,
) -> None:
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    started = []
    for index in range(2):
        folder = tmp_path / str(index)
        folder.mkdir()
        prepare(folder)
        (folder / "edgekit.toml").write_text(PROJECT)
        task = {"type": "worker", "index": index}
        place = json.dumps({"cluster": {"worker": addresses}, "task": task})
        environment = {**os.environ, "TF_CONFIG": place}
        started.append(
            subprocess.Popen(
                [EDGEKIT, "train", "-q"], cwd=folder, env=environment, stderr=subprocess.PIPE
            )
        )
    said = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    # The first worker has the model, and the other leaves nothing.
    built = tmp_path / "0" / "build" / "spread"
    assert (built / "model.keras").is_file()
    assert len((built / "history.csv").read_text().splitlines()) == 3
    assert not (tmp_path / "1" / "build").exists()


def newest(folder: Path) -> int:
    """The step of the last state that a training has saved."""
    return max((int(path.stem[-9:]) for path in folder.glob("step-*.state")), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("function", ["keras3", "keras2"])
def test_coordinator_goes_on_when_a_worker_is_killed_and_started_again(
    tmp_path: Path, function: str
) -> None:
    prepare(tmp_path)
    table, started = settings("parameter_server", workers=2), {}

    def kill() -> None:
        while not newest(tmp_path / f"{function}-parameter_server" / "states"):
            time.sleep(0.01)
        os.kill(started["worker 0"].pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    done = cluster.together(members(tmp_path, function, table, started), table)
    (death,) = done.deaths
    assert death.startswith("worker 0 of 4 processes was ended by SIGKILL")
    # The coordinator was not started again, and gave no more steps than there are.
    assert done.results[0]["resumed"] == 0
    after = state(tmp_path / f"{function}-parameter_server")
    assert after.step == STEPS
    # A step that was under way may have been taken twice.
    assert STEPS <= int(after.arrays["optimizer/0000"]) <= STEPS + 1
    rows = after.memory["rows"]
    assert len(rows) == 4
    # What two workers add up at once is not lost: the model learns, and its figures are means.
    assert rows[-1]["loss"] < rows[0]["loss"] < 5
    assert all(0 <= row["accuracy"] <= 1 for row in rows)
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"} == set(rows[0])


SHARED = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import keras, numpy as np, tensorflow as tf
from distributing import training
from edgekit.training.distribution import shards
from edgekit.training.feed import Feed

folder, workers, replicas = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
feed = Feed.of(model, training(folder))
number = {x.tobytes(): n for n, x in enumerate(np.load(folder / "train.npz")["x"])}
named = lambda x: [number[one.numpy().tobytes()] for one in x]
whole = [named(x) for x, _ in feed.batches(3, 2)]
contexts = [tf.distribute.InputContext(workers, w, replicas) for w in range(workers)]
parts = [[(named(x), np.ravel(w).tolist()) for x, _, w in shards.parts(feed, 3, 2, replicas, c)]
         for c in contexts]
held = [[named(x) for x, _ in shards.validation_parts(feed, replicas, c).take(replicas // workers)]
        for c in contexts]
for count in (1, 2, 3):
    numbers = tf.data.Dataset.range(5, 5 + 7)
    turns = [shards.in_turn(numbers, tf.constant(n, tf.int64), count) for n in range(count)]
    orders = [list(turn.as_numpy_iterator()) for turn in turns]
    # As many steps as there are, divided, read each batch once; who goes on reads others' too.
    own = [order[: len(range(worker, 7, count))] for worker, order in enumerate(orders)]
    assert sorted(sum(own, [])) == list(range(5, 12)), orders
    assert all(sorted(order) == list(range(5, 12)) for order in orders), orders
print(json.dumps({"whole": whole, "parts": parts, "held": held}), file=open(folder / "parts", "w"))
"""


@pytest.mark.parametrize(("workers", "replicas"), [(2, 2), (2, 4), (1, 2)])
def test_parts_of_all_workers_are_the_batches_of_one_process(
    tmp_path: Path, workers: int, replicas: int
) -> None:
    prepare(tmp_path)
    tensorflow_script(SHARED, TESTS, tmp_path, workers, replicas)
    said = json.loads((tmp_path / "parts").read_text())
    local = replicas // workers
    for step, batch in enumerate(said["whole"]):
        of_step = [p for worker in said["parts"] for p in worker[step * local : (step + 1) * local]]
        assert [item for items, _ in of_step for item in items] == batch
        sizes = [len(items) for items, _ in of_step]
        assert max(sizes) - min(sizes) <= 1
        # So that the mean of the replicas' means is the mean of all items.
        for items, weights in of_step:
            assert weights == pytest.approx([len(items) * replicas / len(batch)] * len(items))
    second = [item for batch in said["whole"][4:] for item in batch]
    assert len(second) == len(set(second)) == 213
    held = [item for worker in said["held"] for items in worker for item in items]
    assert sorted(held) == np.load(tmp_path / "held.npy").tolist()


REFUSED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import keras, numpy as np, tensorflow as tf, tf_keras
from distributing import training
from edgekit.errors import ProjectError
from edgekit.project.train import TrainTable
from edgekit.training.distribution import central_storage, keras3, shards, tpu
from edgekit.training.distribution.devices import devices
from edgekit.training.distribution.place import Place
from edgekit.training.distribution.synchronised import synchronise
from edgekit.training.feed import Feed

def refused(code, *words):
    class Refused:
        def __enter__(self): pass
        def __exit__(self, kind, error, _):
            assert isinstance(error, ProjectError), error
            assert error.code == code, error
            assert all(word in str(error) for word in words), error
            return True
    return Refused()

def net(K, *more):
    L = K.layers
    inner = K.Sequential([L.InputLayer((4,)), L.Dense(4), *more])
    return K.Sequential([L.InputLayer((4,)), inner, L.Dense(1)])

named = keras.layers.BatchNormalization(name="norm_of_mine")
with refused("EK-TRAIN-022", "norm_of_mine", "mirrored", "tf_keras"):
    central_storage.check(net(keras, named))
central_storage.check(net(keras))
central_storage.check(net(tf_keras, tf_keras.layers.BatchNormalization()))
assert synchronise(net(keras, named)) == 1 and named.synchronized

with refused("EK-TRAIN-023", "not told which TPU", "Please provide a TPU Name"):
    tpu.strategy(TrainTable(strategy="tpu"), Place())
with refused("EK-TRAIN-023", "this machine has no TPU", "libtpu"):
    tpu.strategy(TrainTable(strategy="tpu", tpu="local"), Place())

# The patch is for the version that is installed; for another there is none.
with keras3.mended():
    pass
right, keras.__version__ = keras.__version__, "3.99.0"
with refused("EK-TRAIN-025", "3.99.0", right):
    with keras3.mended():
        pass
keras.__version__ = right

folder = Path(sys.argv[2])
model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
feed = Feed.of(model, training(folder))
class Many:
    num_replicas_in_sync = 22
with refused("EK-TRAIN-026", "a batch of 21 items", "22 replicas", "batch_size = 32"):
    shards.divided(feed, Many())
"""


def test_what_a_strategy_cannot_do_is_refused_by_name(tmp_path: Path) -> None:
    prepare(tmp_path)
    tensorflow_script(REFUSED, TESTS, tmp_path)


# What is put right is wrong as it is installed: where it is no more, the patch has to go.
NEEDED = """
import keras, numpy as np, tensorflow as tf
from keras.src.backend.tensorflow import trainer
from edgekit.training.distribution import keras3

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
assert keras.__version__ == keras3.VERSION

def fails(do):
    try:
        do()
    except (ValueError, tf.errors.InvalidArgumentError):
        return True
    return False

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with mirrored.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
# The parts of its batches have 2 items and 1.
parts = tf.data.Dataset.from_tensor_slices([2, 1]).repeat().map(
    lambda n: (tf.zeros((n, 4)), tf.zeros((n, 1))))
def fit():
    data = mirrored.distribute_datasets_from_function(lambda _: parts)
    model.fit(data, steps_per_epoch=2, verbose=0)
assert fails(fit), "Keras builds models of uneven parts now: remove keras3.mended"
with keras3.mended():
    fit()

# What each replica's gradients are, and the sum of them, clipped to a norm of 1.
def stepped():
    with mirrored.scope():
        weight = keras.Variable([0.0, 0.0])
        optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
        optimizer.build([weight])
    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([tf.where(replica == 0, [8.0, 3.0], [-5.0, 1.0])])
    tf.function(lambda: mirrored.run(step), autograph=False)()
    return weight.numpy().tolist()
right = [-0.6, -0.8]
assert not np.allclose(stepped(), right), "Keras clips the sum now: remove it of keras3.mended"
with keras3.mended():
    np.testing.assert_allclose(stepped(), right, rtol=1e-6)

workers = tf.distribute.MultiWorkerMirroredStrategy()
# As in a cluster, where what else is asked of this strategy needs other processes.
trainer._collective_all_reduce_multi_worker = lambda strategy: True
loss = {"loss": workers.run(lambda: tf.constant(3.0))}
mean = lambda: trainer.reduce_per_replica(loss, workers, "auto")
assert fails(mean), "Keras takes the mean of workers' figures now: remove keras3.mended"
rows = workers.run(lambda: tf.constant([[1.0], [2.0]]))
stock = trainer.reduce_per_replica
with keras3.mended():
    assert float(mean()["loss"]) == 3.0
    # What predict asks for stays as it is.
    assert trainer.reduce_per_replica(rows, workers, "concat").numpy().tolist() == [[1.0], [2.0]]
assert trainer.reduce_per_replica is stock
"""


@pytest.mark.slow
def test_faults_of_keras_that_are_put_right_are_still_there() -> None:
    tensorflow_script(NEEDED)
