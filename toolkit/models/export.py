"""A model as a SavedModel with named inputs: what all candidates are judged by. In the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import ModelError
from edgekit.models.load import load
from edgekit.store import Artefact
from edgekit.types import Model, SavedModel, TensorSpec


@dataclass(frozen=True)
class Names:
    """What a SavedModel calls a model's inputs and outputs, in the model's own order."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def export(model: Model, folder: Path, batched: bool, trust: bool = False) -> Mapping[str, Any]:
    """Write the SavedModel of a model file into ``folder``; its facts.

    Signature ``serving_default`` has batch 1; with ``batched``, ``evaluate`` has a free batch.
    """
    if model.kind == "saved_model":
        return _export_signature(model.path, folder, batched)
    return export_keras(load(model, trust), folder, batched)


def export_keras(
    model: Any, folder: Path, batched: bool, names: Names | None = None
) -> Mapping[str, Any]:
    """Write the SavedModel of a Keras model object into ``folder``; its facts.

    ``names`` are the inputs and outputs as another SavedModel calls them, in the model's order.
    """
    inputs = getattr(model, "inputs", None)
    if not inputs:
        hint = "call it once on a batch before saving, or give it an Input"
        raise ModelError("EK-MODEL-010", "the model has no defined inputs", hint)
    given = names or Names((), ())
    names_in = list(given.inputs) or _input_names(model, inputs)
    names_out = list(given.outputs) or _output_names(model)
    specs = {
        name: TensorSpec(name, tuple(tensor.shape), _dtype(tensor))
        for name, tensor in zip(names_in, inputs, strict=True)
    }

    def call(**tensors: Any) -> dict[str, Any]:
        ordered = [tensors[name] for name in names_in]
        answers = model(ordered[0] if len(ordered) == 1 else ordered, training=False)
        if isinstance(answers, Mapping):
            return dict(answers)
        many = list(answers) if isinstance(answers, (list, tuple)) else [answers]
        return dict(zip(names_out, many, strict=True))

    variables = [getattr(v, "value", v) if _is_keras3_variable(v) else v for v in model.variables]
    parameters = int(model.count_params())
    return _write(call, specs, names_out, variables, folder, batched, parameters)


def _is_keras3_variable(variable: Any) -> bool:
    return type(variable).__module__.startswith("keras.")


def _input_names(model: Any, inputs: list[Any]) -> list[str]:
    names = getattr(model, "input_names", None) or [tensor.name for tensor in inputs]
    return [str(name).split(":")[0].replace("/", "_") for name in names]


def _output_names(model: Any) -> list[str]:
    names = [str(name).replace("/", "_") for name in getattr(model, "output_names", None) or []]
    count = len(model.outputs)
    distinct = len(set(names)) == count
    return names if distinct else [f"output_{number}" for number in range(count)]


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def _export_signature(path: Path, folder: Path, batched: bool) -> Mapping[str, Any]:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        reason = " ".join(str(error).split())[:400]
        raise ModelError("EK-MODEL-008", f"{path} cannot be loaded", reason) from error
    if "serving_default" not in loaded.signatures:
        found = ", ".join(loaded.signatures) or "none"
        hint = f"its signatures: {found}. Save it with one called serving_default"
        raise ModelError("EK-MODEL-011", f"{path} has no serving_default signature", hint)
    serve = loaded.signatures["serving_default"]
    specs = {
        name: TensorSpec(name, tuple(spec.shape.as_list()), spec.dtype.name)
        for name, spec in serve.structured_input_signature[1].items()
    }
    variables = list(getattr(loaded, "variables", []))
    parameters = sum(int(v.shape.num_elements()) for v in variables)
    order = list(serve.structured_outputs)
    tracked = [loaded, *variables]
    return _write(lambda **t: serve(**t), specs, order, tracked, folder, batched, parameters)


def _write(
    call: Any, inputs: Mapping[str, TensorSpec], order: list[str], tracked: list[Any],
    folder: Path, batched: bool, parameters: int,
) -> Mapping[str, Any]:  # fmt: skip
    """Trace and save; ``order`` is that of the model's outputs, which TensorFlow sorts by name."""
    import tensorflow as tf

    module = tf.Module()
    module.tracked = tracked

    def trace(batch: int | None) -> Any:
        specs = {
            name: tf.TensorSpec([batch, *spec.shape[1:]], spec.dtype, name=name)
            for name, spec in inputs.items()
        }
        return tf.function(call, autograph=False).get_concrete_function(**specs)

    signatures = {"serving_default": trace(1)}
    if batched and all(spec.shape[:1] == (None,) for spec in inputs.values()):
        signatures["evaluate"] = trace(None)
    tf.saved_model.save(module, str(folder / "saved_model"), signatures=signatures)
    outputs = signatures["serving_default"].structured_outputs
    ordered = [name for name in order if name in outputs] or sorted(outputs)
    return {
        "inputs": [[s.name, list(s.shape), s.dtype] for s in inputs.values()],
        "outputs": [[n, outputs[n].shape.as_list(), outputs[n].dtype.name] for n in ordered],
        "batched": "evaluate" in signatures,
        "parameters": parameters,
    }


def saved_model(artefact: Artefact) -> SavedModel:
    """What :func:`export` left in the store."""
    path, facts = artefact.path / "saved_model", artefact.facts
    return SavedModel(
        path=path,
        digest=artefact.digest,
        bytes=sum(p.stat().st_size for p in path.rglob("*") if p.is_file()),
        inputs=tuple(TensorSpec(n, tuple(s), d) for n, s, d in facts["inputs"]),
        outputs=tuple(TensorSpec(n, tuple(s), d) for n, s, d in facts["outputs"]),
        batched=facts["batched"],
        parameters=facts["parameters"],
    )
