"""Small models that are fine-tuned on one device and on several, for the tests of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekit.compression import stage
from edgekit.data import Dataset
from edgekit.models.export import Names
from edgekit.project.compress import CompressTable, FinetuneTable
from edgekit.project.train import TrainTable
from edgekit.training.feed import Training
from edgekit.training.finetune import finetuning
from edgekit.types import Model, Preprocess

# 10 items are held out: the last batch of an epoch has 3, which cannot be halved. Of a single epoch
# none is, and its last batch has 13.
ITEMS, BATCH, EPOCHS = 205, 16, 2
# A scheme, after others, and whether it is taught.
JOBS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "prune one layer": ("prune", (), False),
    "prune": ("prune", (), False),
    "cluster after prune": ("cluster", ("prune",), True),
    "quantization_aware": ("quantization_aware", (), False),
    "quantization_aware after prune and cluster": (
        "quantization_aware",
        ("prune", "cluster"),
        False,
    ),
    "channels keras3": ("channels", (), True),
    "channels keras2": ("channels", (), False),
}
# For a test that is quick: without convolution, batch normalization and an epoch to choose.
ONE_LAYER = "prune one layer"
KERNELS = ("conv", "out")


def prepare(folder: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ITEMS, 8, 8, 1)).astype("float32")
    np.save(folder / "x.npy", x)
    np.save(folder / "few.npy", x[:64])
    np.save(folder / "y.npy", (np.abs(x).mean((1, 2, 3)) * 1e4).astype(int) % 10)


def prepare_models(folder: Path) -> None:
    """Write the models that jobs start from; what came before is done by hand."""
    import keras
    import tf_keras

    for name, (_, before, _) in JOBS.items():
        small = name == ONE_LAYER
        model = _net(keras if name.endswith("keras3") else tf_keras, small)
        for layer in KERNELS if before else ():
            kernel, *more = model.get_layer(layer).get_weights()
            kernel = np.where(np.abs(kernel) < np.median(np.abs(kernel)), 0, kernel)
            if "cluster" in before:
                kernel = np.round(kernel * 6) / 6
            model.get_layer(layer).set_weights([kernel, *more])
        model.save(_file(folder, name))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.{'keras' if name.endswith('keras3') else 'h5'}"


def _net(library: Any, small: bool) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    layers = library.layers
    return library.Sequential(
        [
            layers.InputLayer((8, 8, 1), name="image"),
            *([] if small else [layers.Conv2D(8, 3, name="conv", activation="relu")]),
            layers.Flatten(),
            *([] if small else [layers.BatchNormalization()]),
            layers.Dense(10, activation="softmax", name="out"),
        ]
    )


def job(folder: Path, name: str, strategy: str) -> tuple[Any, stage.RecoveryTraining]:
    """What is asked of a worker that does a job by a strategy."""
    from edgekit.compression.channel_stage import ChannelJob

    scheme, before, taught = JOBS[name]
    data = Dataset("random", {"image": folder / "x.npy"}, folder / "y.npy", ITEMS, "")
    epochs = 1 if name == ONE_LAYER else EPOCHS
    training = Training(data, Preprocess(), epochs, BATCH, 0)
    more: dict[str, Any] = {"mirrored": {"replicas": 2}, "multi_worker": {"workers": 2}}
    settings = TrainTable(
        deterministic=True, save_every=3, strategy=strategy, **more.get(strategy, {})
    )
    tuning = finetuning(FinetuneTable(distill={} if taught else None), settings, epochs, 1e-3)
    file = _file(folder, name)
    generation = "keras3" if file.suffix == ".keras" else "keras2"
    model = Model(file, file.suffix[1:], generation, "", own=True)
    recovery = stage.RecoveryTraining(
        training, tuning, "accuracy", folder, model if taught else None
    )
    asked = CompressTable(
        prune={"sparsity": 0.5},
        cluster={"clusters": 4},
        quantization_aware=True,
        channels={"macs": 0.3, "multiple": 2},
    )
    samples, names = (folder / "few.npy",), Names((), ())
    table: Any = asked.table_of(scheme)
    if scheme == "channels":
        return ChannelJob(table, model, samples, names, False, folder), recovery
    return stage.SchemeJob(scheme, table, model, before, samples, names), recovery


def alone(folder: Path, name: str, case: str) -> tuple[Any, Any]:
    """Do a job on one device, from the state that there is on: the model, and what happened."""
    from edgekit.compression.channel_stage import plan_channels, recover
    from edgekit.compression.channels import shrink
    from edgekit.compression.schemes import SCHEMES
    from edgekit.models.load import load

    work, recovery = job(folder, name, "default")
    heard, partial = (None, None), folder / case
    if JOBS[name][0] == "channels":
        model = shrink(load(work.model), plan_channels(work, recovery))
        teacher = load(recovery.teacher) if recovery.teacher else None
        return model, recover(model, recovery, partial, heard, teacher)
    scheme = SCHEMES[work.scheme]
    rows = scheme.plan(load(work.model), work.table)
    samples = tuple(np.load(path) for path in work.samples)
    return stage._trained(scheme, work, rows, samples, recovery, partial, heard)


def spread(folder: Path, name: str, case: str) -> dict[str, Any]:
    """Do a job on two devices of this process, as a worker does."""
    from edgekit.compression.channel_stage import plan_channels
    from edgekit.compression.members import tune_channels, tune_scheme
    from edgekit.training.distribution.place import Place

    work, recovery = job(folder, name, "mirrored")
    if JOBS[name][0] == "channels":
        plan = plan_channels(work, recovery)
        return dict(tune_channels(work, plan, recovery, folder / case, Place()))
    return dict(tune_scheme(work, recovery, folder / case, Place()))


def compare(folder: Path, names: list[str]) -> dict[str, Any]:
    """Do jobs on one device and on two of this process, and return how far they end apart."""
    _one_strategy()
    prepare_models(folder)
    every = {}
    for name in names:
        spread(folder, name, f"{name} on two")
        # From the state that they leave, one process takes the model, as edgekit does.
        done = [alone(folder, name, f"{name} on {number}") for number in ("one", "two")]
        kernels = [_kernels(model) for model, _ in done]
        every[name] = {
            "furthest": _furthest(*(model for model, _ in done)),
            "scores": [facts.get("scores") for _, facts in done],
            "zeros": [[float(np.mean(one == 0)) for one in ones] for ones in kernels],
            "unique": [[len(np.unique(one)) for one in ones] for ones in kernels],
        }
    return every


def _one_strategy() -> None:
    """Make one strategy for all jobs, as each process has one: TensorFlow begins once."""
    from edgekit.training.distribution import mirrored
    from edgekit.training.distribution.place import Place

    made = mirrored.strategy(TrainTable(strategy="mirrored", replicas=2), Place())
    mirrored.strategy = lambda *_: made


def furthest_from_one(folder: Path, name: str) -> float:
    """How far the model of the state that workers left is from that of one device."""
    models = [alone(folder, name, case)[0] for case in ("alone", "together")]
    return _furthest(*models)


def _furthest(first: Any, second: Any) -> float:
    pairs = zip(first.weights, second.weights, strict=True)
    return max(float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max()) for a, b in pairs)


def _kernels(model: Any) -> list[Any]:
    from edgekit.compression.scheme import kernels

    named = (layer for layer in model.layers if layer.name.removeprefix("quant_") in KERNELS)
    return [np.asarray(next(iter(kernels(layer).values()))) for layer in named]
