"""Export a model as a SavedModel with named inputs, the reference of all. In the worker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, ModelError
from edgekit.models import graph
from edgekit.models.argmax import watch_argmax
from edgekit.models.float32 import BITS, FLOAT32, in_float32, other_floats
from edgekit.models.inputs import Inputs, inputs_of, known_shape
from edgekit.models.load import SECONDS, load_with_wrappers
from edgekit.models.output_activation import output_activations
from edgekit.models.outputs import named, output_names
from edgekit.models.unroll import fixed_steps, unroll
from edgekit.models.wrappers import wrappers_in_saved_model
from edgekit.store import Artefact
from edgekit.types import Model, SavedModel, TensorSpec
from edgekit.worker import at_most

Sizes = Mapping[str, tuple[int | None, ...]]
# The array name that stands for the only input.
SINGLE = "x"


@dataclass(frozen=True)
class Names:
    """The names of a SavedModel's inputs and outputs, in the model's own order.

    ``sizes`` are the items' shapes by input name, which settle dimensions that the model leaves
    free.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sizes: Sizes = field(default_factory=dict)

    @classmethod
    def in_facts(cls, facts: Mapping[str, Any]) -> Names:
        """Read the names from the facts of :func:`export_keras`."""
        return cls(
            tuple(name for name, _, _ in facts["inputs"]),
            tuple(name for name, _, _ in facts["outputs"]),
            {name: tuple(shape[1:]) for name, shape, _ in facts["inputs"]},
        )

    @classmethod
    def of(cls, model: SavedModel) -> Names:
        """Read the names of an exported model."""
        return cls(
            tuple(spec.name for spec in model.inputs),
            tuple(spec.name for spec in model.outputs),
            {spec.name: spec.shape[1:] for spec in model.inputs},
        )


def export(
    model: Model,
    folder: Path,
    batched: bool,
    trust: bool = False,
    sizes: Sizes | None = None,
    unrolled: bool = False,
) -> Mapping[str, Any]:
    """Write the SavedModel of a model file into ``folder``, and return its facts.

    Signature ``serving_default`` has batch 1; with ``batched``, ``evaluate`` has a free batch.
    ``sizes`` are the shapes of the items by array name: dimensions that the model leaves free get
    them. ``unrolled`` recurrent layers compute their steps without a loop. ``wrappers`` names what
    TFMOT had left in the file.
    """
    with at_most(SECONDS, f"exporting {model.path.name}"):
        if model.kind == "saved_model":
            if unrolled:
                raise _no_layers(model.path)
            return _export_signature(model, folder, batched, trust, sizes or {})
        loaded = load_with_wrappers(model, trust)
        facts = export_both(loaded.model, folder, batched, sizes=sizes, unrolled=unrolled)
        return {**facts, "wrappers": list(loaded.wrappers)}


def _no_layers(path: Path) -> ModelError:
    hint = "unroll in the model: LSTM(..., unroll=True), or give its .keras or .h5 file"
    return ModelError("EK-MODEL-020", f"{path} is a SavedModel: it has no layers to unroll", hint)


def export_both(
    model: Any,
    folder: Path,
    batched: bool,
    inputs: Inputs | None = None,
    sizes: Sizes | None = None,
    unrolled: bool = False,
) -> Mapping[str, Any]:
    """Export the model as it is, and beside it a version that TFLite has kernels for.

    The second, in the folder ``float32``, is written if layers compute in another float, which
    ``policies`` names, or call what ``rewritten`` names: TFLite has kernels for neither.
    """
    policies = other_floats(model)
    rewritten = in_float32(model) if policies else None
    with fixed_steps(unroll(model) if unrolled else ()):
        facts = export_keras(model, folder, batched, inputs=inputs, sizes=sizes, as_trained=True)
    if rewritten is None and facts["rewritten"]:
        rewritten = model
    if rewritten is not None:
        with fixed_steps(unroll(rewritten) if unrolled else ()):
            export_keras(rewritten, folder / FLOAT32, False, Names.in_facts(facts), inputs)
    return {**facts, "policies": list(policies)}


def export_keras(
    model: Any,
    folder: Path,
    batched: bool,
    names: Names | None = None,
    inputs: Inputs | None = None,
    sizes: Sizes | None = None,
    as_trained: bool = False,
) -> Mapping[str, Any]:
    """Write the SavedModel of a Keras model object into ``folder``, and return its facts.

    ``names`` are the inputs and outputs as another SavedModel calls them, in the model's order.
    ``inputs`` are for a model that does not define its own, ``sizes`` as in :func:`export`.
    What Keras computes in a way that TFLite lacks is written in one that it has, unless the model
    is to be ``as_trained``: then ``rewritten`` names it.
    """
    model_inputs = inputs or inputs_of(model)
    called = list(names.inputs) if names else [spec.name for spec in model_inputs.specs]
    names_out = list(names.outputs) if names else output_names(model)
    renamed = [
        replace(s, name=name, dtype=FLOAT32 if s.dtype in BITS else s.dtype)
        for name, s in zip(called, model_inputs.specs, strict=True)
    ]
    specs = _with_known_sizes(renamed, names.sizes if names else sizes or {})
    order: list[str] = []

    def call(**tensors: Any) -> dict[str, Any]:
        own = {
            spec.name: _cast(tensors[other], spec.dtype)
            for spec, other in zip(model_inputs.specs, called, strict=True)
        }
        answers = named(model(model_inputs.pack(own), training=False), names_out)
        order[:] = list(answers)
        return {
            name: _cast(tensor, FLOAT32) if tensor.dtype.name in BITS else tensor
            for name, tensor in answers.items()
        }

    variables = [getattr(v, "value", v) if _is_keras3_variable(v) else v for v in model.variables]
    tables = [one for layer in model._flatten_layers() for one in _tables(layer)]
    limit, rewrite = at_most(SECONDS, "exporting the model"), watch_argmax(not as_trained)
    with limit, _explain_batch(specs), rewrite as called_by_it:
        free = {
            n: replace(s, shape=(None, *s.shape[1:])) if s.shape else s for n, s in specs.items()
        }
        written = _write(call, free, order, [*variables, *tables], folder, batched)
    rewritten = sorted(called_by_it) if as_trained else []
    return {**written, "parameters": int(model.count_params()), "rewritten": rewritten}


def _cast(tensor: Any, dtype: str) -> Any:
    import tensorflow as tf

    return tensor if tensor.dtype.name == dtype else tf.cast(tensor, dtype)


def _tables(layer: Any) -> Iterator[Any]:
    """Yield the lookup tables of a layer, which Keras 3 keeps as attributes."""
    from tensorflow.python.trackable.resource import TrackableResource

    yield from (one for one in vars(layer).values() if isinstance(one, TrackableResource))


def _is_keras3_variable(variable: Any) -> bool:
    return type(variable).__module__.startswith("keras.")


def _with_known_sizes(specs: list[TensorSpec], sizes: Sizes) -> dict[str, TensorSpec]:
    """Return specs by name, with free dimensions after the batch at the size of the data."""
    settled = {}
    for spec in specs:
        size = sizes.get(spec.name, sizes.get(SINGLE) if len(specs) == 1 else None)
        shape = spec.shape
        if size is not None and len(size) == len(shape) - 1:
            inner = [own or given for own, given in zip(shape[1:], size, strict=True)]
            shape = (shape[0], *inner)
        settled[spec.name] = replace(spec, shape=shape)
    return settled


def _export_signature(
    model: Model, folder: Path, batched: bool, trust: bool, sizes: Sizes
) -> Mapping[str, Any]:
    import tensorflow as tf

    signature = graph.check(model.path, model.signature, trust)
    try:
        loaded = tf.saved_model.load(str(model.path))
        serve = loaded.signatures[signature]
    except Exception as error:
        reason = " ".join(str(error).split())[:400]
        raise ModelError("EK-MODEL-008", f"{model.path} cannot be loaded", reason) from error
    specs = _with_known_sizes(
        [
            TensorSpec(name, known_shape(spec.shape, name), spec.dtype.name)
            for name, spec in serve.structured_input_signature[1].items()
        ],
        sizes,
    )
    variables = list(getattr(loaded, "variables", [])) or list(serve.variables)
    parameters = sum(int(v.shape.num_elements()) for v in variables)
    order = list(serve.structured_outputs)
    written = _write(lambda **t: serve(**t), specs, order, [loaded, *variables], folder, batched)
    wrappers = sorted(wrappers_in_saved_model(model.path))
    return {**written, "parameters": parameters, "wrappers": wrappers}


def _write(
    call: Any,
    inputs: Mapping[str, TensorSpec],
    order: list[str],
    tracked: list[Any],
    folder: Path,
    batched: bool,
) -> Mapping[str, Any]:
    """Trace and save; ``order`` is that of the model's outputs, which TensorFlow sorts by name."""
    import tensorflow as tf

    _refuse_strings("input", [(spec.name, spec.dtype) for spec in inputs.values()])
    module = tf.Module()
    module.tracked = tracked

    fixed = _fixed_batch(inputs)

    def trace(batch: int | None) -> Any:
        specs = {
            name: tf.TensorSpec([batch, *spec.shape[1:]], spec.dtype, name=name)
            for name, spec in inputs.items()
        }
        return tf.function(call, autograph=False).get_concrete_function(**specs)

    signatures = {"serving_default": trace(fixed)}
    if batched and all(spec.shape[:1] == (None,) for spec in inputs.values()):
        signatures["evaluate"] = trace(None)
    outputs = signatures["serving_default"].structured_outputs
    _refuse_strings("output", [(name, tensor.dtype.name) for name, tensor in outputs.items()])
    tf.saved_model.save(module, str(folder / "saved_model"), signatures=signatures)
    ordered = [name for name in order if name in outputs] or sorted(outputs)
    return {
        "inputs": [[s.name, list(s.shape), s.dtype] for s in inputs.values()],
        "outputs": [[n, outputs[n].shape.as_list(), outputs[n].dtype.name] for n in ordered],
        "batched": "evaluate" in signatures,
        "last": output_activations(signatures["serving_default"]),
    }


@contextlib.contextmanager
def _explain_batch(specs: Mapping[str, TensorSpec]) -> Iterator[None]:
    """Explain a failed trace by the batch of an input that cannot be 1."""
    try:
        yield
    except EdgekitError:
        raise
    except Exception as error:
        for spec in specs.values():
            try:
                _check_batch(spec)
            except ModelError as refusal:
                raise refusal from error
        raise


def _fixed_batch(inputs: Mapping[str, TensorSpec]) -> int:
    """Return the batch to trace with: 1, or what all inputs of a SavedModel are fixed to.

    Raises :class:`ModelError` where an input cannot be fed items, or they disagree.
    """
    for spec in inputs.values():
        if not spec.shape or len({one.shape[:1] for one in inputs.values()} - {(None,)}) > 1:
            _check_batch(spec)
    return next((one.shape[0] for one in inputs.values() if one.shape[0]), 1)


def _check_batch(spec: TensorSpec) -> None:
    if not spec.shape:
        hint = "items are fed along a first dimension: give the input the shape [None, ...]"
        raise ModelError("EK-MODEL-010", f"input {spec.name!r} is a scalar", hint)
    if spec.shape[0] not in (None, 1):
        hint = "items are fed one by one: save the model with a free batch, [None, ...]"
        message = f"input {spec.name!r} has a fixed batch of {spec.shape[0]}"
        raise ModelError("EK-MODEL-010", message, hint)


def _refuse_strings(kind: str, tensors: list[tuple[str, str]]) -> None:
    for name, dtype in tensors:
        if dtype == "string":
            hint = (
                "the runtimes have no kernels for strings: export the model from its numbers on"
                "\n(after TextVectorization or StringLookup), and do that step in the app"
            )
            raise ModelError("EK-MODEL-017", f"{kind} {name!r} holds strings", hint)


def saved_model(artefact: Artefact) -> SavedModel:
    """Describe what :func:`export` left in the store."""
    path, facts = artefact.path / "saved_model", artefact.facts
    policies, rewritten = (tuple(facts.get(key, ())) for key in ("policies", "rewritten"))
    return SavedModel(
        path=path,
        digest=artefact.digest,
        bytes=sum(p.stat().st_size for p in path.rglob("*") if p.is_file()),
        inputs=tuple(TensorSpec(n, tuple(s), d) for n, s, d in facts["inputs"]),
        outputs=tuple(TensorSpec(n, tuple(s), d) for n, s, d in facts["outputs"]),
        batched=facts["batched"],
        parameters=facts["parameters"],
        last=facts.get("last", {}),
        twin=artefact.path / FLOAT32 / "saved_model" if policies or rewritten else None,
        policies=policies,
        rewritten=rewritten,
    )
