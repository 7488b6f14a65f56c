"""Models: files, what they are exported as, and how they were made smaller."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from edgekit.types.quantities import Json, Measurement, TensorSpec


@dataclass(frozen=True)
class Model:
    """A model file, SavedModel folder or ``.tflite``, and what is known before it is loaded.

    ``digest`` is of the file, with ``weights`` of both. ``custom_objects`` is the user's module of
    layers, which imports from ``root``, and ``code`` the digests of the files behind it.
    ``generation`` is unknown where the file records no version. A model that is ``own`` was written
    by edgekit from the user's function, and is trusted as that function is. ``inputs`` are
    all that it takes, ``[batch, ...]``, where its file tells them: before anything loads it.
    """

    path: Path
    kind: Literal["keras", "h5", "json", "saved_model", "tflite"]
    generation: Literal["keras3", "keras2", "tensorflow", "tflite", "unknown"]
    digest: str
    custom_objects: Path | None = None
    root: Path | None = None
    weights: Path | None = None
    signature: str | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    inputs: tuple[TensorSpec, ...] = ()

    @property
    def key(self) -> Mapping[str, Json]:
        """What a store key must hold of it: all that decides what loading gives."""
        return {"sha256": self.digest, "signature": self.signature, "code": dict(self.code)}


@dataclass(frozen=True)
class CarriedState:
    """What a model carries from one inference to the next: an output that is fed back to an input.

    Both are as large and of one dtype; ``why`` they belong together is said in words.
    """

    input: TensorSpec
    output: TensorSpec
    why: str


@dataclass(frozen=True)
class SavedModel:
    """What candidates are made of, and judged by: an exported SavedModel, or a ``.tflite`` file.

    A SavedModel has a batch-1 signature ``serving_default``, and a free batch in ``evaluate``.
    ``runtime`` is what runs it, ``signature`` which one of a ``.tflite`` file's several is meant.
    ``last`` is the activation that each output ends in, by name: ``softmax``, ``sigmoid``,
    ``argmax``, ``unit norm`` …, empty where there is none. ``twin`` is the same model as TFLite can
    have it, where its own layers compute in another float, by ``policies``, or call what
    ``rewritten`` names, for which TFLite has no kernels. ``named`` is what tables call it, where it
    is neither of the two. Where a file taken as it is is judged by another model, that one's
    ``inputs`` and ``outputs`` are called as the file calls them, and ``own_inputs`` and
    ``own_outputs`` say by which names it knows them itself. ``states`` are not among its inputs and
    outputs: no data is for them.
    """

    path: Path
    digest: str
    bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool
    parameters: int
    runtime: Literal["tensorflow", "litert"] = "tensorflow"
    stateful: bool = False
    last: Mapping[str, str] = field(default_factory=dict)
    twin: Path | None = None
    policies: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    signature: str | None = None
    named: str = ""
    own_inputs: Mapping[str, str] = field(default_factory=dict)
    own_outputs: Mapping[str, str] = field(default_factory=dict)
    states: tuple[CarriedState, ...] = ()

    @property
    def all_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs, and those that states are fed to."""
        return (*self.inputs, *(state.input for state in self.states))

    @property
    def all_outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs, and those that give states."""
        return (*self.outputs, *(state.output for state in self.states))

    def carried(self, fed: Collection[str] = ()) -> Mapping[str, str]:
        """Return the output that each state is fed with, by input; without inputs that items are
        for.
        """
        pairs = {state.input.name: state.output.name for state in self.states}
        own = {self.own_inputs.get(name, name) for name in fed}
        return {name: output for name, output in pairs.items() if name not in own}

    @property
    def in_float32(self) -> SavedModel:
        """The SavedModel that files are made of: the twin where there is one, else itself."""
        if self.twin is None:
            return self
        digest = hashlib.sha256(f"{self.digest} float32".encode()).hexdigest()
        return replace(self, path=self.twin, digest=digest, batched=False, twin=None)

    @property
    def batch(self) -> int:
        """How many items it takes at once; 1 where it may be fed one by one."""
        return max((spec.shape[0] or 1 for spec in self.inputs if spec.shape), default=1)

    @property
    def is_tflite(self) -> bool:
        """Whether the model that was given is a ``.tflite`` file, so that it is its own judge."""
        return self.runtime == "litert"

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.named or ("float .tflite" if self.is_tflite else "SavedModel")


@dataclass(frozen=True)
class LayerCompression:
    """What a scheme was asked to do with a layer, and what the layer then holds.

    ``requested`` is a sparsity, a number of clusters, a number of channels, or 1 for
    quantization-aware training; absent where ``reason`` says why the layer was left alone.
    ``sparsity`` is the share of zeros in its ``weights`` kernel elements, ``unique`` how many
    different values its largest kernel has. ``channels`` and ``macs`` (multiply-accumulates) are
    before and after, where channels were removed.
    """

    layer: str
    kind: str
    weights: int
    requested: float | None
    sparsity: float
    unique: int
    reason: str = ""
    channels: tuple[int, int] | None = None
    macs: tuple[int, int] | None = None


@dataclass(frozen=True)
class SchemeResult:
    """One scheme as it was applied: what was asked, what each layer holds, what it cost.

    ``metric`` is the model's once the scheme is applied, ``recovered`` after fine-tuning for
    ``epochs``; ``best_epoch`` is the one whose weights were kept. ``speed`` says in words what the
    scheme does for latency on the runtimes of the run's targets. Before and after, where channels
    were removed: ``macs`` (multiply-accumulates), ``parameters``, and the ``nanoseconds`` that a
    planner of latency measured.
    """

    scheme: str
    requested: str
    sparsity: float
    layers: tuple[LayerCompression, ...]
    metric: Measurement
    recovered: Measurement
    epochs: int
    best_epoch: int | None
    seconds: float
    speed: str
    macs: tuple[int, int] | None = None
    parameters: tuple[int, int] | None = None
    nanoseconds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Proof:
    """How a model rebuilt in the other Keras was proven equal: largest relative differences.

    ``random`` over random items, ``real`` over real ones where there were any; ``dropped`` are the
    settings left behind because they held their default.
    """

    random: float
    real: float | None
    tolerance: float
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compression:
    """Everything that was done to make a model smaller, in order, and the files it became."""

    schemes: tuple[SchemeResult, ...]
    bridge: Proof | None
    files: Mapping[str, Path]
