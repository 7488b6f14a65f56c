"""A ``.tflite`` file as the model: what a float one must be, and the reference that it then is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.custom_operators import custom_operators, unsupported_operators
from edgekit.converters.flatbuffer import Tensor, TFLiteFile
from edgekit.converters.last_operators import last_operators
from edgekit.converters.signature import chosen_signature, entry, extract_signature
from edgekit.errors import ModelError
from edgekit.models.tflite import read_content
from edgekit.pipeline.run import Run
from edgekit.store import Artefact, sha256
from edgekit.types import Advice, Json, Model, SavedModel, TensorSpec

Specs = tuple[TensorSpec, ...]
FILE = "model.tflite"
# The runtime that candidates are judged on.
JUDGE = "litert"


def float_reference(run: Run, model: Model) -> SavedModel:
    """Keep a float file in the store as the reference: LiteRT runs it, candidates are compared with
    it.

    Of several signatures it is a file of the one that is meant. Raises :class:`ModelError` where
    that is not clear, where it is quantized already, needs operators that no runtime here has, or
    takes what cannot be fed.
    """
    file, content = flatbuffer.read(model.path), model.path.read_bytes()
    key = chosen_signature(model.path, file, model.signature)
    if key is not None and (len(file.signatures) > 1 or file.signatures[0].graph):
        _tell(run, file, key)
        content = extract_signature(content, key)
        file = flatbuffer.parse(content, f"{model.path}, signature {key!r}")
    check(model.path, file)

    def make(folder: Path) -> Mapping[str, Json]:
        (folder / FILE).write_bytes(content)
        return {}

    kept = run.obtain("float", run.key(model=model.key), make)
    parameters = file.weights.get("FLOAT32", 0) // 4
    return replace(_of_file(kept, file, ends(file)), parameters=parameters)


def _tell(run: Run, file: TFLiteFile, key: str) -> None:
    """Note which one of several signatures is converted."""
    others = ", ".join(repr(one.key) for one in file.signatures if one.key != key)
    if not others:
        return
    message = f"files are made of the signature {key!r} alone; the file also has {others}"
    run.advise(Advice("EK-NOTE-047", "info", message, "--signature NAME takes another one"))


def as_it_is(run: Run, model: Model) -> SavedModel:
    """Keep a file of any precision as the reference. Raises :class:`ModelError` where it cannot
    run.

    Its digest is the file's own, as a candidate's is: what it answered is its answer there, too.
    """
    if run.plan.options.evaluate:
        check_operators(model.path, flatbuffer.read(model.path))
    reference = tflite_model(run, model.path)
    for spec in reference.inputs:
        if spec.dtype == "string":
            message = f"{model.path}: input {spec.name!r} is {spec.dtype}"
            hint = "items are fed as numbers: let the app do the step from text to numbers"
            raise ModelError("EK-MODEL-010", message, hint)
    return replace(reference, digest=model.digest, named="the file itself")


def check(path: Path, file: TFLiteFile) -> None:
    """Raise :class:`ModelError` where a file is not a float model, of which candidates are made."""
    check_operators(path, file)
    integer_weights = sorted(file.weights.keys() - {"FLOAT32", "BOOL"})
    tensors = [t for graph in file.graphs for t in graph.tensors]
    quantized = [t for t in tensors if t.quantization is not None and t.dtype != "FLOAT32"]
    if integer_weights or quantized:
        reason = (
            f"it holds {', '.join(integer_weights)} weights"
            if integer_weights
            else f"{quantized[0].name!r} is int8"
        )
        hint = (
            f"{reason}: `edgekit inspect` shows all; give the float model that it was made from, or"
            " take this file as it is, for metadata, C source, an NPU or a bundle: --as-is"
        )
        raise ModelError("EK-MODEL-006", f"{path} is quantized already", hint)
    for spec in ends(file)[0]:
        if spec.dtype == "string" or not spec.shape:
            hint = "items are fed as numbers, along a first dimension or each as a whole input"
            message = f"{path}: input {spec.name!r} is {spec.dtype} {list(spec.shape)}"
            raise ModelError("EK-MODEL-010", message, hint)


def check_operators(path: Path, file: TFLiteFile) -> None:
    """Raise :class:`ModelError` for operators that the judging runtime does not have."""
    custom = unsupported_operators(custom_operators(file), JUDGE)
    if custom:
        hint = f"{JUDGE} has no kernel for it, so nothing can be judged by it"
        message = f"{path} holds operators that are not TFLite's own: {', '.join(custom)}"
        raise ModelError("EK-MODEL-021", message, hint)


def quantized(file: TFLiteFile) -> bool:
    """Tell whether a file has a quantized tensor; else it computes in float, or on indices."""
    tensors = (t for graph in file.graphs for t in graph.tensors)
    return any(t.quantization is not None and t.dtype != "FLOAT32" for t in tensors)


def tflite_model(run: Run, path: Path) -> SavedModel:
    """Keep a ``.tflite`` file of any precision in the store. Raises :class:`ModelError`."""
    read_content(path)
    file = flatbuffer.read(path)
    digest = sha256(path)

    def make(folder: Path) -> Mapping[str, Json]:
        shutil.copyfile(path, folder / FILE)
        return {}

    kept = run.obtain("measured", {"sha256": digest}, make)
    if not file.graphs:
        raise ModelError("EK-MODEL-026", f"{path} holds no graph to run")
    signature = chosen_signature(path, file, run.project.model.signature)
    model = _of_file(kept, file, ends(file, real=True, signature=signature), signature)
    return replace(model, signature=signature if len(file.signatures) > 1 else None)


def _of_file(
    kept: Artefact, file: TFLiteFile, specs: tuple[Specs, Specs], signature: str | None = None
) -> SavedModel:
    """Describe a file in the store as a model for LiteRT; ``specs`` are its inputs and outputs."""
    return SavedModel(
        path=kept.path / FILE,
        digest=kept.digest,
        bytes=file.size,
        inputs=specs[0],
        outputs=specs[1],
        batched=False,
        parameters=0,
        runtime="litert",
        stateful=file.stateful,
        last=last_operators(file, signature),
    )


def main_file(run: Run, model: SavedModel) -> Path:
    """Return the file of a ``.tflite`` model; of a named signature, a file of that alone.

    What looks inside a model sees the main graph only.
    """
    key = model.signature
    if key is None:
        return model.path

    def make(folder: Path) -> Mapping[str, Json]:
        (folder / FILE).write_bytes(extract_signature(model.path.read_bytes(), key))
        return {}

    kept = run.obtain("signature", run.key(model=model.digest, signature=key), make)
    return kept.path / FILE


def ends(file: TFLiteFile, real: bool = False, signature: str | None = None) -> tuple[Specs, Specs]:
    """Read the inputs and outputs, by their names in the signature, else of their tensors.

    With ``real`` a quantized one counts as float32, for that is how runners take and give it. Of
    several signatures the one that is named counts.
    """
    main, names = entry(file, signature)

    def specs(rows: Mapping[str, int]) -> tuple[TensorSpec, ...]:
        tensors = {name: main.tensors[index] for name, index in rows.items()}
        return tuple(
            TensorSpec(
                name,
                _shape(t.signature_shape or t.shape),
                "float32" if real and t.scale else t.dtype.lower(),
            )
            for name, t in tensors.items()
        )

    return specs(names[0]), specs(names[1])


def input_tensors(path: Path, signature: str | None = None) -> Mapping[str, Tensor]:
    """Return the input tensors of a ``.tflite`` file, by the names that items have."""
    main, (inputs, _) = entry(flatbuffer.read(path), signature)
    return {name: main.tensors[index] for name, index in inputs.items()}


def _shape(sizes: tuple[int, ...]) -> tuple[int | None, ...]:
    return tuple(None if size < 0 else size for size in sizes)
