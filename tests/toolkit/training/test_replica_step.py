"""A step of the user's own in replicas: together they take the step of one process, or refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from forking import tensorflow_script

STEPS = """
import keras, tf_keras, tensorflow as tf

others = {"keras3": keras.optimizers.SGD(0.1), "keras2": tf_keras.optimizers.SGD(0.1),
          "legacy": tf_keras.optimizers.legacy.SGD(0.1)}
calls = tf.Variable(0)

def differentiated(model, batch):
    x, y = batch
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
    return loss, tape.gradient(loss, model.trainable_variables)

def plain(model, optimizer, batch):
    loss, gradients = differentiated(model, batch)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    calls.assign_add(1)
    return {"loss": loss, "highest": tf.reduce_max(batch[1], axis=-1)}

@tf.function
def decorated(model, optimizer, batch):
    return plain(model, optimizer, batch)

def by_objects(model, optimizer, batch):
    x, y = batch
    newer = isinstance(model, keras.Model)
    with tf.GradientTape(persistent=True) as tape:
        loss = (keras if newer else tf_keras).losses.MeanSquaredError()(y, model(x, training=True))
    if newer:
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
    else:
        optimizer.minimize(loss, model.trainable_variables, tape)
    return {"loss": loss, "highest": tf.reduce_max(y, axis=-1)}

def by_hand(model, optimizer, batch):
    loss, gradients = differentiated(model, batch)
    for weight, gradient in zip(model.trainable_variables, gradients):
        weight.assign_sub(0.1 * tf.convert_to_tensor(gradient))
    return {"loss": loss}

def by_another(model, optimizer, batch):
    loss, gradients = differentiated(model, batch)
    kind = "keras3" if isinstance(model, keras.Model) else "keras2"
    others[kind].apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss}

def by_a_legacy_one(model, optimizer, batch):
    loss, gradients = differentiated(model, batch)
    others["legacy"].apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss}

def past_what_is_given(model, optimizer, batch):
    loss, gradients = differentiated(model, batch)
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss}

@tf.function
def inner(model, optimizer, batch):
    loss, gradients = differentiated(model, batch)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss

def nested(model, optimizer, batch):
    return {"loss": inner(model, optimizer, batch)}

def where_it_is_positive(model, optimizer, batch):
    loss, gradients = differentiated(model, batch)
    if loss > 0:
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss}
"""
TAKEN = """
import sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf, tf_keras
from edgekit.errors import ProjectError
from edgekit.project.train import TrainTable
from edgekit.training.distribution.replica_step import ReplicaStep
from edgekit.training.distribution.synchronised import synchronise
from edgekit.training.own_step import OwnStep, stepping

folder = Path(sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
rng = np.random.default_rng(0)
x, y = rng.integers(0, 6, (7, 1)), rng.normal(size=(7, 3)).astype("float32")
start = [rng.normal(size=shape).astype("float32") for shape in ((6, 4), (4,), (4,), (4, 3), (3,))]

def net(K):
    # The gradient of an embedding is sparse; in batch normalization replicas wait for each other.
    model = K.Sequential([K.layers.InputLayer((1,), dtype="int64"), K.layers.Embedding(6, 4),
        K.layers.Flatten(), K.layers.BatchNormalization(), K.layers.Dense(3)])
    model.compile(K.optimizers.SGD(0.1, momentum=0.9))
    for weight, value in zip(model.trainable_variables, start):
        weight.assign(value)
    return model

def parts(context):
    # Items of a step of uneven parts, and of one of even.
    return tf.data.Dataset.from_generator(
        lambda: ((x[a:b], y[a:b]) for a, b in ((0, 2), (2, 7), (0, 3), (3, 6))),
        output_signature=(tf.TensorSpec((None, 1), tf.int64), tf.TensorSpec((None, 3))))

def together(K, function):
    with mirrored.scope():
        model = net(K)
        synchronise(model)
        with stepping(model, TrainTable(loop=f"steps.py:{function}"), folder, ReplicaStep) as step:
            model.optimizer.build(model.trainable_variables)
            batches = iter(mirrored.distribute_datasets_from_function(parts))
            taken = tf.function(lambda: mirrored.run(step.train, (next(batches),)), autograph=False)
            found = [mirrored.experimental_local_results(taken()) for _ in range(2)]
            for one, other in found:
                assert {n: float(one[n]) for n in one} == {n: float(other[n]) for n in other}
            calls = sys.modules["steps"].calls
            assert calls.values[0].numpy() == calls.values[1].numpy(), calls
            return [np.asarray(w) for w in model.get_weights()], found[-1][0]

def alone(K, function):
    model = net(K)
    with stepping(model, TrainTable(loop=f"steps.py:{function}"), folder, OwnStep) as step:
        model.optimizer.build(model.trainable_variables)
        for batch in ((x, y), (x[:6], y[:6])):
            found = step.train(tuple(map(tf.constant, batch)))
        return [np.asarray(w) for w in model.get_weights()], found

refused = {
    "by_hand": "assigns to the weight", "by_another": "another optimizer (SGD)",
    "past_what_is_given": "another optimizer (SGD)",
    "by_a_legacy_one": "another optimizer (SGD)",
    "nested": "within a tf.function", "where_it_is_positive": "within a tf.function",
}
for K, functions, wrong in (
    (keras, ("decorated", "by_objects"), set(refused) - {"by_a_legacy_one"}),
    (tf_keras, ("plain", "by_objects"), ("by_a_legacy_one",))
):
    for function in functions:
        (one, figures), (two, others) = alone(K, function), together(K, function)
        for a, b in zip(one, two):
            np.testing.assert_allclose(a, b, atol=2e-6, err_msg=f"{K.__name__} {function}")
        assert figures.keys() == others.keys() == {"loss", "highest"}
        for name in figures:
            np.testing.assert_allclose(float(figures[name]), float(others[name]), rtol=1e-5)
    for function in wrong:
        words = refused[function]
        try:
            together(K, function)
        except ProjectError as error:
            assert error.code == "EK-TRAIN-008" and words in str(error), error
            assert "steps.py" in str(error), error
        else:
            raise AssertionError(f"{K.__name__} {function} was accepted")
"""


@pytest.mark.slow
def test_replicas_together_take_the_step_of_one_process_or_refuse_it_by_name(
    tmp_path: Path,
) -> None:
    (tmp_path / "steps.py").write_text(STEPS)
    tensorflow_script(TAKEN, tmp_path)
