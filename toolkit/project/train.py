"""``[train]`` of the project file: how a model of the user's own function is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from edgekit.errors import did_you_mean
from edgekit.project.compress import switched
from edgekit.project.strategies import MULTI_WORKER, PARAMETER_SERVER, STRATEGIES
from edgekit.project.sweep import SweepTable
from edgekit.project.table import Table
from edgekit.project.units import MOST_EPOCHS, MOST_ITEMS

# What the names of figures say of their direction; "error" and all others are ambiguous or losses.
RISING = (
    "acc", "auc", "precision", "recall", "f1", "iou", "r2", "score", "dice", "psnr", "ssim",
    "coco_map",
)  # fmt: skip
FALLING = ("loss", "error", "mse", "mae", "mape", "crossentropy", "divergence", "cer", "wer")
# More processes or devices than this are a slip of the pen.
MOST_WORKERS = 1024


class ScheduleTable(Table):
    """``[train] learning_rate``: a learning rate that changes by the steps taken."""

    schedule: Literal["constant", "cosine", "exponential", "piecewise"] = "constant"
    """How it falls: not, along half a cosine, by a factor every epoch, or by a factor after some
    epochs. ``schedule = "cosine"``
    """
    start: float = Field(default=1e-3, gt=0)
    """Where it begins, after the warm-up. ``start = 0.001``"""
    end: float = Field(default=0.0, ge=0)
    """Where the cosine ends. ``schedule = "cosine"``, ``end = 0.00001``"""
    factor: float | None = Field(default=None, gt=0, lt=1)
    """What exponential and piecewise multiply it by. Default: 0.9 and 0.1.

    ``schedule = "exponential"``, ``factor = 0.5``
    """
    after: tuple[int, ...] = ()
    """The epochs after which piecewise multiplies it.

    ``schedule = "piecewise"``, ``after = [10, 15]``
    """
    warm_up: float = Field(default=0.0, ge=0)
    """Epochs, or a part of one, in which it rises to its start. ``warm_up = 0.5``"""

    @model_validator(mode="after")
    def _fitting(self) -> ScheduleTable:
        if (self.schedule == "piecewise") != bool(self.after):
            raise ValueError('schedule = "piecewise" takes after = [EPOCHS], and no other does')
        if self.factor is not None and self.schedule not in ("exponential", "piecewise"):
            raise ValueError(f"schedule = {self.schedule!r} takes no factor")
        if self.end and self.schedule != "cosine":
            raise ValueError(f"schedule = {self.schedule!r} takes no end: only the cosine does")
        if self.end > self.start:
            raise ValueError("end is above start: the cosine falls")
        if list(self.after) != sorted({*self.after}) or any(epoch < 1 for epoch in self.after):
            raise ValueError("after takes rising numbers of epochs, from 1")
        return self


def _rate(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"start": value}
    return value


def _momentum(value: Any) -> Any:
    return 0.99 if value is True else None if value is False else value


def _patterns(value: Any) -> Any:
    return value if value == "all" or not isinstance(value, str) else (value,)


def _strategy(name: str) -> str:
    if name not in STRATEGIES:
        raise ValueError(
            f"there is no strategy {name!r}{did_you_mean(name, list(STRATEGIES))};"
            f" there are {', '.join(STRATEGIES)}"
        )
    return name


class EarlyStoppingTable(Table):
    """``[train] early_stopping``: end the training once it gets no better."""

    patience: int = Field(default=5, ge=1, strict=True)
    """So many epochs without a better one end the training. ``patience = 5``"""


class KubernetesTable(Table):
    """``[train.kubernetes]``: what ``edgekit train --manifests`` asks of a cluster, per worker."""

    image: str = ""
    """Image with edgekit, and the project in /project. ``image = "registry.example/mine:1"``"""
    cpu: str = "2"
    """Processors of a worker. ``cpu = "4"``"""
    memory: str = "8Gi"
    """Memory of a worker. ``memory = "16Gi"``"""
    gpus: int = Field(default=0, ge=0, le=64, strict=True)
    """GPUs of a worker. ``gpus = 1``"""
    storage: str = "10Gi"
    """Size of the volume with states and model. ``storage = "50Gi"``"""
    storage_class: str | None = None
    """Class of that volume, which all nodes can write. ``storage_class = "nfs"``"""


class StageTable(Table):
    """``[[train.stage]]``: a part of the training, with its own choice of what is trained."""

    name: str = ""
    """What it is called. Default: its number. ``name = "head"``"""
    trainable: Annotated[
        Literal["all"] | Annotated[int, Field(ge=1, strict=True)] | tuple[str, ...],
        Field(union_mode="left_to_right"),
        BeforeValidator(_patterns),
    ] = "all"
    """Which layers are trained; the others are frozen, and their batch normalization computes as in
    inference. "all"; a number for the last so many; or patterns of names: a model within the model
    stands for its layers, and ``base/block5_*`` for some of them. ``trainable = ["head*"]``
    """
    epochs: int = Field(ge=1, le=MOST_EPOCHS, strict=True)
    """How often it goes through the items. ``epochs = 5``"""
    optimizer: str | None = None
    """Any of Keras's, by name. Default: that of [train]. ``optimizer = "sgd"``"""
    learning_rate: Annotated[ScheduleTable | None, BeforeValidator(_rate)] = None
    """A number, or how it changes within the stage. Default: that of [train].

    ``learning_rate = 0.00001``
    """
    freeze_batch_norm: bool = False
    """Keep batch normalization frozen, also where its layer is among the trainable.

    ``freeze_batch_norm = true``
    """


class TensorBoardTable(Table):
    """``[train.tensorboard]``: what is logged of a training for TensorBoard, and how often."""

    logs: bool = True
    """Write logs under build/NAME/logs. ``logs = false``"""
    every: int = Field(default=50, ge=1, strict=True)
    """Least number of steps between two histograms of weights and gradients. ``every = 50``"""
    share: float = Field(default=0.04, gt=0, le=1)
    """Share of the training's time that looks may take, by the clock and of computing: they are
    fewer where they would take more.

    ``share = 0.04``
    """
    items: int = Field(default=256, ge=1, strict=True)
    """Items that gradients, curves and embeddings are of. ``items = 256``"""
    images: int = Field(default=8, ge=0, strict=True)
    """How many of the worst items are shown as pictures. ``images = 8``"""
    profile: int = Field(default=0, ge=0, strict=True)
    """Steps to profile, from the eleventh on; its tab needs edgekit[profile]. ``profile = 5``"""


class TrainTable(Table):
    """``[train]``: how a model of your own function is trained.

    A compiled model stays as it was compiled, but for what is said here.
    """

    epochs: int = Field(default=10, ge=1, le=MOST_EPOCHS, strict=True)
    """How often the training goes through the items. ``epochs = 10``"""
    batch_size: int = Field(default=64, ge=1, le=MOST_ITEMS, strict=True)
    """Items of one step. ``batch_size = 64``"""
    seed: int = Field(default=0, ge=0)
    """Seed of weights, order and dropout. ``seed = 0``"""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    """How much items of a class count: "balanced", or by class. ``class_weights = "balanced"``"""
    sample_weights: str | None = None
    """Column with how much each item counts. ``sample_weights = "weight"``"""
    augment: str | dict[str, Any] | None = None
    """Random changes in training only: layers of Keras and their first argument, or arguments; or a
    function that returns layers.

    ``augment = { RandomFlip = "horizontal", RandomRotation = 0.1 }``
    """
    optimizer: str | None = None
    """Any of Keras's, by name. Default: the model's own, else adam. ``optimizer = "sgd"``"""
    learning_rate: Annotated[ScheduleTable | None, BeforeValidator(_rate)] = None
    """A number, or how it changes. Default: the model's own, else 0.001.

    ``learning_rate = { schedule = "cosine", start = 0.001, warm_up = 1 }``
    """
    loss: str | dict[str, str] | None = None
    """Keras's name or your function; of several outputs by name. Default: the model's own, else
    the task's. ``loss = "losses.py:mine"``
    """
    loss_weights: dict[str, float] | None = None
    """How much the loss of each of several outputs counts. Default: each 1.

    ``loss_weights = { kind = 1.0, size = 0.2 }``
    """
    loop: str | None = None
    """A step of your own in the place of Keras's: a function of (model, optimizer, batch) that
    returns a dict of figures. ``loop = "steps.py:train_step"``
    """
    validation_step: str | None = None
    """Validate by a function of (model, batch) that returns a dict of figures. Default: by loss and
    metrics. ``loop = "steps.py:train_step"``, ``validation_step = "steps.py:test_step"``
    """
    metrics: tuple[str, ...] | dict[str, tuple[str, ...]] | None = None
    """Keras's names or your functions; of several outputs by name. Default: the model's own, else
    the task's. ``metrics = ["accuracy"]``
    """
    clip_norm: float | None = Field(default=None, gt=0)
    """The most that the norm of all gradients together may be. ``clip_norm = 1.0``"""
    ema: Annotated[float | None, Field(gt=0, lt=1), BeforeValidator(_momentum)] = None
    """Keep moving averages of the weights with this momentum; true is 0.99. ``ema = 0.99``"""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of a label that all classes divide, in a cross-entropy.

    ``label_smoothing = 0.1``
    """
    mixed_precision: Literal["float16", "bfloat16"] | None = None
    """Compute in half precision; weights and what is exported stay float32.

    ``mixed_precision = "bfloat16"``
    """
    best: str | None = None
    """The figure whose best epoch's weights are kept. Default: the last epoch's are, but with
    early_stopping val_loss. ``best = "val_accuracy"``
    """
    best_is: Literal["highest", "lowest"] | None = None
    """Which value of it is the best. Default: as its name tells.

    ``best = "val_mine"``, ``best_is = "highest"``
    """
    early_stopping: Annotated[EarlyStoppingTable | None, BeforeValidator(switched)] = None
    """End the training once the figure of best gets no better; true takes the defaults.

    ``early_stopping = { patience = 5 }``
    """
    steps_per_execution: int | None = Field(default=None, ge=1, le=MOST_ITEMS, strict=True)
    """The most batches in one call of the graph. Default: 32, as many as divide an epoch.

    ``steps_per_execution = 1``
    """
    eager: bool = False
    """Run line by line, one batch after the other, without graphs: slow, to find an error.

    ``eager = true``
    """
    deterministic: bool = False
    """End with the same weights, bit by bit, each time: slower kernels. ``deterministic = true``"""
    save_every: int | None = Field(default=None, ge=1, le=MOST_ITEMS, strict=True)
    """Save the state after so many steps, and after each epoch. Default: as often as costs little.

    ``save_every = 500``
    """
    keep_states: int = Field(default=2, ge=1, le=100, strict=True)
    """How many of the last states are kept while it trains. ``keep_states = 2``"""
    strategy: Annotated[
        str,
        AfterValidator(_strategy),
        Field(json_schema_extra={"enum": list(STRATEGIES)}),
    ] = "default"
    """How it is spread over devices and processes. ``strategy = "mirrored"``"""
    workers: int | None = Field(default=None, ge=1, le=MOST_WORKERS, strict=True)
    """Processes of multi_worker and parameter_server on this machine. Default: 2.

    ``strategy = "multi_worker"``, ``workers = 2``
    """
    replicas: int | None = Field(default=None, ge=1, le=MOST_WORKERS, strict=True)
    """Devices of mirrored and central_storage: GPUs, else parts of the CPU. Default: every GPU.

    ``strategy = "mirrored"``, ``replicas = 2``
    """
    tpu: str | None = None
    """Name or address of the TPU; "local" on a TPU machine. ``strategy = "tpu"``, ``tpu = "local"``
    """
    kubernetes: KubernetesTable = Field(default_factory=KubernetesTable)
    """What a training on Kubernetes asks for. ``kubernetes = { image = "mine:1", cpu = "4" }``"""
    tensorboard: TensorBoardTable = Field(default_factory=TensorBoardTable)
    """What is logged for TensorBoard. ``tensorboard = { every = 100, profile = 5 }``"""
    stage: tuple[StageTable, ...] = ()
    """Parts of the training, one after the other, that say how many epochs there are.

    ``stage = [{ trainable = ["head"], epochs = 5 }, { epochs = 5, learning_rate = 0.00001 }]``
    """
    sweep: SweepTable | None = None
    """Which other settings edgekit sweep tries.

    ``sweep = { settings = { batch_size = [32, 64] } }``
    """

    @model_validator(mode="after")
    def _steps_of_ones_own(self) -> TrainTable:
        if self.validation_step and not self.loop:
            raise ValueError('validation_step goes with a step to train by: loop = "steps.py:…"')
        if self.loop and self.mixed_precision == "float16":
            raise ValueError(
                "float16 needs a loss that is scaled, which loop does by itself or not: use"
                ' mixed_precision = "bfloat16"'
            )
        return self

    @model_validator(mode="after")
    def _epochs_of_stages(self) -> TrainTable:
        if self.stage and "epochs" in self.model_fields_set:
            raise ValueError("epochs belongs to each [[train.stage]]: leave out that of [train]")
        return self

    @model_validator(mode="after")
    def _fitting_strategy(self) -> TrainTable:
        only = {
            "workers": (MULTI_WORKER, PARAMETER_SERVER),
            "replicas": ("mirrored", "central_storage"),
            "tpu": ("tpu",),
        }
        for key, strategies in only.items():
            if getattr(self, key) is not None and self.strategy not in strategies:
                raise ValueError(
                    f"strategy = {self.strategy!r} takes no {key}:"
                    f" it is for {' and '.join(strategies)}"
                )
        if self.eager and self.strategy != "default":
            raise ValueError(
                f"strategy = {self.strategy!r} runs no lines one by one: leave out eager"
            )
        if self.loop and (why := STRATEGIES[self.strategy].no_loop):
            raise ValueError(
                f"strategy = {self.strategy!r} takes no loop of your own: {why}; mirrored and"
                " multi_worker do"
            )
        return self

    @model_validator(mode="after")
    def _known_direction(self) -> TrainTable:
        if self.best_is and not self.figure:
            raise ValueError("best_is says which value of best is the best: name best, too")
        if self.figure and self.best_is is None and not self._rises and not self._falls:
            raise ValueError(
                f'is a higher or a lower {self.figure} better? add best_is = "highest" or "lowest"'
            )
        return self

    @property
    def all_epochs(self) -> int:
        """How many epochs there are, of all stages together."""
        return sum(stage.epochs for stage in self.stage) if self.stage else self.epochs

    @property
    def figure(self) -> str | None:
        """The figure that the best epoch is chosen by; None where the last is taken."""
        return self.best or ("val_loss" if self.early_stopping else None)

    @property
    def higher(self) -> bool:
        """Whether a higher figure is better."""
        return self.best_is == "highest" if self.best_is else self._rises

    @property
    def _rises(self) -> bool:
        return any(word in (self.figure or "").lower() for word in RISING)

    @property
    def _falls(self) -> bool:
        return any(word in (self.figure or "").lower() for word in FALLING)
